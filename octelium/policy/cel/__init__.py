"""CEL, the Common Expression Language, over plain JSON data.

Google's `cel-expr-python` parses and type-checks a text; its checked tree is compiled to Python
closures that run on `dict`, `list` and scalars as they are, without converting a context first.
Meaning and names follow the CEL specification (https://github.com/google/cel-spec) and, for the
extension libraries, the documentation of cel-go's `ext` package.
"""

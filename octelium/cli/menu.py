"""The commands of each program, as plain data.

Help and dispatch work from this table, so that a command's module, and all that it needs, is
loaded only to run that command. For the same reason nothing is imported here.
"""

from __future__ import annotations


class Command:
    """Where a command lives (`module:attribute`), its line in the list, further names for it."""

    __slots__ = ("aliases", "summary", "target")

    def __init__(self, target: str, summary: str, *, aliases: tuple[str, ...] = ()) -> None:
        self.target = target
        self.summary = summary
        self.aliases = aliases


class Group:
    """What has commands: its name, what it is for, its commands by name, whether it connects."""

    __slots__ = ("commands", "connects", "example", "name", "summary")

    def __init__(
        self,
        name: str,
        summary: str,
        commands: dict[str, Command],
        *,
        example: str,
        connects: bool = True,
    ) -> None:
        self.name = name
        self.summary = summary
        self.commands = commands
        self.example = example
        self.connects = connects

    def find(self, word: str) -> Command | None:
        """The command with this name or alias."""
        if word in self.commands:
            return self.commands[word]
        for command in self.commands.values():
            if word in command.aliases:
                return command
        return None


class Program(Group):
    """A program of its own. `connects`: it calls the API."""

    __slots__ = ()


CONNECTION = (
    ("--domain", "DOMAIN", "The Cluster's domain [OCTELIUM_DOMAIN]."),
    ("--homedir", "DIR", "Where logins are kept; `mem`: nowhere [OCTELIUM_HOME]."),
    ("--endpoint", "HOST:PORT", "The API's address [OCTELIUM_API_ENDPOINT]."),
    ("--ca-file", "FILE", "Certificates (PEM) to trust [SSL_CERT_FILE]."),
    ("--tls-server-name", "NAME", "The name in the API's certificate [OCTELIUM_TLS_SERVER_NAME]."),
    ("--logout", "", "End the Session when the command is done [OCTELIUM_LOGOUT]."),
)
"""Options that every command with a connection takes: flag, placeholder, help."""

VERSION_HELP = "Show the program's version and exit."

_COMMON = {
    "login": Command("octelium.cli.login:login", "Log in to a Cluster and remember it."),
    "logout": Command("octelium.cli.logout:logout", "End the Session and forget it."),
    "version": Command("octelium.cli.version:version", "Show the version."),
    "completion": Command("octelium.cli.completion:completion", "Print a shell completion script."),
}

POLICY = Group(
    "policy",
    "Explain, test and review what Policies decide.",
    {
        "explain": Command("octelium.cli.policy.explain:explain", "Show why a request is decided."),
        "eval": Command("octelium.cli.policy.evaluate:evaluate", "Evaluate a CEL expression."),
        "test": Command("octelium.cli.policy.testing:test", "Run the tests of Policies."),
        "who": Command("octelium.cli.policy.who:who", "Show which Users may open a Service."),
        "what": Command("octelium.cli.policy.what:what", "Show which Services a User may open."),
    },
    example="octeliumctl policy explain --user alice --service wiki --path /admin",
)
"""The commands of `octeliumctl policy`."""

AUTHENTICATOR = Group(
    "authenticator",
    "Register a second proof of who one is, and use it.",
    {
        "list": Command("octelium.cli.authenticator:show", "List one's own Authenticators."),
        "create": Command("octelium.cli.authenticator:create", "Register an authenticator app."),
        "delete": Command("octelium.cli.authenticator:delete", "Remove an Authenticator."),
        "authenticate": Command(
            "octelium.cli.authenticator:authenticate", "Authenticate the Session with an app."
        ),
    },
    example="octelium auth authenticator create",
)
"""The commands of `octelium auth authenticator`."""

AUTH = Group(
    "auth",
    "Prove who one is.",
    {
        "authenticator": Command("octelium.cli.auth:authenticator", AUTHENTICATOR.summary),
    },
    example="octelium auth authenticator list",
)
"""The commands of `octelium auth`."""

CONTEXT = Group(
    "context",
    "Choose the Cluster that commands mean.",
    {
        "list": Command(
            "octelium.cli.context:show_all", "List the Clusters that are known.", aliases=("ls",)
        ),
        "show": Command(
            "octelium.cli.context:show",
            "Show the Cluster that commands mean.",
            aliases=("current",),
        ),
        "use": Command("octelium.cli.context:use", "Have commands mean a Cluster."),
        "delete": Command(
            "octelium.cli.context:delete", "Log out of a Cluster and forget it.", aliases=("rm",)
        ),
    },
    example="octelium context use example.com",
)
"""The commands of `octelium context`."""

PROGRAMS = {
    "octelium": Program(
        "octelium",
        "Reach the Services of an Octelium Cluster, or run one.",
        {
            "up": Command("octelium.cluster.command:up", "Run a Cluster on this machine."),
            "controller": Command(
                "octelium.cluster.controller_command:controller",
                "Deploy the containers of Services on Kubernetes.",
            ),
            "status": Command("octelium.cli.status:status", "Show who one is logged in as."),
            "get": Command(
                "octelium.cli.user_get:get",
                "List the Services and Namespaces to use.",
                aliases=("list", "ls"),
            ),
            "open": Command("octelium.cli.open:open_service", "Open a Service in the browser."),
            "connect": Command("octelium.cli.connect:connect", "Join the private network."),
            "disconnect": Command(
                "octelium.cli.disconnect:disconnect", "Leave the private network."
            ),
            "doctor": Command(
                "octelium.cli.doctor:doctor", "Find out why something cannot be reached."
            ),
            "tui": Command(
                "octelium.cli.tui:user_tui", "See Services, Sessions and Devices in the terminal."
            ),
            "auth": Command("octelium.cli.auth:auth", AUTH.summary),
            "context": Command("octelium.cli.context:context", CONTEXT.summary),
            **_COMMON,
        },
        example="octelium login --domain example.com",
    ),
    "octeliumctl": Program(
        "octeliumctl",
        "Administer the resources of an Octelium Cluster.",
        {
            "apply": Command("octelium.cli.apply:apply", "Make the Cluster be as files say."),
            "diff": Command("octelium.cli.diff:diff", "Show what apply would change."),
            "get": Command("octelium.cli.get:get", "Show resources.", aliases=("list", "ls")),
            "describe": Command(
                "octelium.cli.describe:describe", "Show a resource and what belongs to it."
            ),
            "create": Command("octelium.cli.create:create", "Create a resource."),
            "update": Command("octelium.cli.update:update", "Change a resource."),
            "edit": Command("octelium.cli.edit:edit", "Change a resource in an editor."),
            "delete": Command(
                "octelium.cli.delete:delete", "Delete resources.", aliases=("del", "rm")
            ),
            "invite": Command("octelium.cli.invite:invite", "Let a person sign in, by a link."),
            "publish": Command(
                "octelium.cli.publish:publish", "Publish a web application, and show its URL."
            ),
            "grant": Command("octelium.cli.grant:grant", "Let a User use a Service."),
            "revoke": Command("octelium.cli.grant:revoke", "Take back what grant gave a User."),
            "logs": Command("octelium.cli.logs:logs", "Show who accessed what, and why so."),
            "doctor": Command(
                "octelium.cli.doctor_cluster:doctor", "Find out what is broken in the Cluster."
            ),
            "policy": Command("octelium.cli.policy.group:policy", POLICY.summary),
            "tui": Command("octelium.cli.tui:tui", "Administer the Cluster in the terminal."),
            **_COMMON,
        },
        example="octeliumctl get services",
    ),
    "octops": Program(
        "octops",
        "Operate an Octelium Cluster on its own machine.",
        {
            "cert": Command(
                "octelium.cli.cert:cert",
                "Replace a certificate while the Cluster runs.",
                aliases=("certificate", "crt"),
            ),
            "token": Command("octelium.cli.token:token", "Make a new token for the administrator."),
            "invite": Command(
                "octelium.cli.invite:invite_locally", "Let a person sign in, by a link."
            ),
            "probe": Command(
                "octelium.cli.probe:probe", "Send a real request through the front door."
            ),
            "backup": Command(
                "octelium.cli.backup:backup", "Write a backup of a Cluster, running or not."
            ),
            "restore": Command(
                "octelium.cli.restore:restore", "Bring a Cluster back from a backup."
            ),
            "built-in": Command(
                "octelium.cli.built_in:built_in", "Show objects as this version ships them."
            ),
            "version": _COMMON["version"],
            "completion": _COMMON["completion"],
        },
        example="octops cert example.com --cert chain.pem --key key.pem --data-dir DIR",
        connects=False,
    ),
}
"""The programs by name."""

BELOW: dict[str, tuple[tuple[str, Group], ...]] = {
    "octelium": (("auth authenticator", AUTHENTICATOR), ("context", CONTEXT)),
    "octeliumctl": (("policy", POLICY),),
}
"""The groups of commands within a program, by how they are called."""


def options(program: Group) -> list[tuple[str, str]]:
    """The rows of a program's own options: how to write one, and what it does."""
    rows = [(f"{flag} {word}".rstrip(), text) for flag, word, text in CONNECTION]
    own = [("--version", VERSION_HELP), ("-h, --help", "Show this and exit.")]
    return [*(rows if program.connects else []), *own]


def help_text(program: Program) -> str:
    """What `PROGRAM --help` prints."""
    return "\n".join(
        [
            f"Usage: {program.name} [OPTIONS] COMMAND [ARGUMENTS]...",
            *_body(program),
            "",
            "Options, before or after the command:",
            *_rows(options(program)),
            "",
            f"Example: {program.example}",
            f"Help for a command: {program.name} COMMAND --help",
        ]
    )


def group_help_text(group: Group, path: str) -> str:
    """What `PROGRAM GROUP --help` prints; `path` is how the group is called."""
    return "\n".join(
        [
            f"Usage: {path} COMMAND [ARGUMENTS]...",
            *_body(group),
            "",
            f"Help for a command: {path} COMMAND --help",
            "",
            "Example:",
            f"  {group.example}",
        ]
    )


def _body(group: Group) -> list[str]:
    rows = _rows([(name, entry.summary) for name, entry in group.commands.items()])
    return ["", f"  {group.summary}", "", "Commands:", *rows]


def _rows(rows: list[tuple[str, str]]) -> list[str]:
    width = max(len(left) for left, _ in rows)
    return [f"  {left:{width}}  {right}" for left, right in rows]

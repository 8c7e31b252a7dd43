"""Login pages and OAuth2 endpoints."""

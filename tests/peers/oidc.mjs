// An OpenID Connect provider: reads its settings as JSON from stdin, says `ready` when it listens.
//
// A login name's claims are the `users` entry of that name. Interactions are the provider's own
// development pages: any password is right.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { Provider } from 'oidc-provider';

const settings = JSON.parse(readFileSync(0, 'utf8'));
const scopes = { openid: ['sub'], email: ['email', 'email_verified'] };
scopes.profile = ['name', 'picture', 'preferred_username', 'groups', 'hasMFA', 'amr', 'nickname'];

const provider = new Provider(settings.issuer, {
  clients: settings.clients,
  claims: scopes,
  conformIdTokenClaims: settings.userinfo_only ?? false,
  cookies: { keys: ['a key for tests'] },
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true }, rpInitiatedLogout: { enabled: false } },
  jwks: settings.jwks,
  findAccount: (_context, id) => ({
    accountId: id,
    claims: () => ({ sub: id, ...(settings.users[id] ?? {}) }),
  }),
});
provider.proxy = true;

const server = createServer({ key: settings.key, cert: settings.chain }, provider.callback());
server.listen(settings.port, '127.0.0.1', () => console.log('ready'));

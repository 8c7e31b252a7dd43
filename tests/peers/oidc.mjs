// An OpenID Connect provider: reads its settings as JSON from stdin, says `ready` when it listens.
//
// A login name's claims are the `users` entry of that name, and at the UserInfo endpoint those of
// `told` as well. Interactions are the provider's own development pages: any password is right. A
// workload gets a JWT of its own by client credentials, for the audience that it names as
// `resource`; that of the client `stale` has expired.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { Provider } from 'oidc-provider';

const settings = JSON.parse(readFileSync(0, 'utf8'));
const scopes = { openid: ['sub'], email: ['email', 'email_verified'], ...settings.scopes };
scopes.profile = ['name', 'picture', 'preferred_username', 'groups', 'hasMFA', 'amr', 'nickname'];

// What the provider remembers, until its time is over. The library's own store in memory holds a
// thousand things and forgets codes that nobody has redeemed when many people log in at a time.
const kept = new Map();

class Kept {
  constructor(model) {
    this.model = model;
  }

  async upsert(id, payload, seconds) {
    kept.set(`${this.model}:${id}`, { payload, until: Date.now() + (seconds ?? Infinity) * 1000 });
    if (this.model === 'Session') kept.set(`uid:${payload.uid}`, { id });
  }

  async find(id) {
    const found = kept.get(`${this.model}:${id}`);
    return found && found.until > Date.now() ? found.payload : undefined;
  }

  async findByUid(uid) {
    return this.find(kept.get(`uid:${uid}`)?.id);
  }

  async consume(id) {
    kept.get(`${this.model}:${id}`).payload.consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    kept.delete(`${this.model}:${id}`);
  }

  async revokeByGrantId(grantId) {
    for (const [key, { payload }] of kept) if (payload?.grantId === grantId) kept.delete(key);
  }
}

const provider = new Provider(settings.issuer, {
  adapter: Kept,
  clients: settings.clients,
  claims: scopes,
  conformIdTokenClaims: settings.userinfo_only ?? false,
  cookies: { keys: ['a key for tests'] },
  pkce: { required: () => true },
  features: {
    devInteractions: { enabled: true },
    rpInitiatedLogout: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_context, resource) => ({
        audience: resource, scope: '', accessTokenFormat: 'jwt', accessTokenTTL: 300,
      }),
    },
  },
  formats: {
    customizers: {
      jwt: (_context, token, { payload }) => {
        if (token.clientId === settings.stale) payload.exp = payload.iat - 120;
      },
    },
  },
  // A minute is not enough where hundreds of people are here before the first one goes back.
  ttl: { AuthorizationCode: 900 },
  jwks: settings.jwks,
  findAccount: (_context, id) => ({
    accountId: id,
    claims: (use) => ({
      sub: id, ...settings.users[id], ...(use === 'userinfo' && settings.told?.[id]),
    }),
  }),
});
provider.proxy = true;

const server = createServer({ key: settings.key, cert: settings.chain }, provider.callback());
server.keepAliveTimeout = 120_000; // many clients in one busy process take their time
server.listen(settings.port, '127.0.0.1', () => console.log('ready'));

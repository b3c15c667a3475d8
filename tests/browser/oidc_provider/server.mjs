// A certified OpenID Connect provider over https: whoever signs in as NAME is NAME, with the groups that the settings list.
// Settings come as JSON in the first argument; the issuer is printed once it listens.
import fs from "node:fs";
import https from "node:https";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import path from "node:path";

const settings = JSON.parse(process.argv[2]);
const require = createRequire(path.join(settings.modules, "package.json"));
const load = async (name) => import(pathToFileURL(require.resolve(name)));
const { default: Provider } = await load("oidc-provider");
const { exportJWK, generateKeyPair } = await load("jose");

const { privateKey } = await generateKeyPair("RS256", { extractable: true });
const key = { ...(await exportJWK(privateKey)), use: "sig", alg: "RS256", kid: "first" };
const issuer = `https://localhost:${settings.port}`;
const provider = new Provider(issuer, {
  jwks: { keys: [key] },
  clients: [{
    client_id: settings.client, client_secret: settings.secret, grant_types: ["authorization_code", "refresh_token"],
    redirect_uris: [`${settings.console}/sign-in/callback`], post_logout_redirect_uris: [`${settings.console}/sign-in`],
    backchannel_logout_uri: `${settings.console}/sign-in/ended`, backchannel_logout_session_required: true,
  }],
  claims: { openid: ["sub", "groups"] },
  conformIdTokenClaims: false,
  cookies: { keys: ["of-the-tests"] },
  // It refuses to call loopback addresses, where the console of the tests is.
  fetch: (url, options) => fetch(url, { ...options, dispatcher: undefined }),
  features: { backchannelLogout: { enabled: true }, revocation: { enabled: true }, devInteractions: { enabled: true } },
  findAccount: (_, name) => ({ accountId: name, claims: () => ({ sub: name, groups: settings.groups[name] ?? [] }) }),
  issueRefreshToken: (_, client, code) => code.accountId !== "brief",
  pkce: { required: () => true },
  ttl: { IdToken: (context) => settings.seconds[context?.oidc?.account?.accountId] ?? 3600 },
});
provider.on("backchannel.error", (_, error) => console.error(error));
provider.on("server_error", (_, error) => console.error(error));
const files = { key: fs.readFileSync(settings.key), cert: fs.readFileSync(settings.certificate) };
https.createServer(files, provider.callback()).listen(settings.port, "127.0.0.1", () => console.log(issuer));

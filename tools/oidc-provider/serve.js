// The OpenID Connect issuer that the tests sign in by: oidc-provider, a certified one, with people of a file.
// node serve.js FOLDER-WITH-node_modules PEOPLE.json CLIENT.json; a line on its input makes it sign with another key;
// one of JSON is what it knows of the client beside that.
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [folder, peopleFile, clientFile] = process.argv.slice(2);
const found = createRequire(pathToFileURL(`${folder}/`)).resolve("oidc-provider");
const { Provider } = await import(pathToFileURL(found));
const people = JSON.parse(readFileSync(peopleFile));
const client = JSON.parse(readFileSync(clientFile));

function key() {
  const made = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" });
  return { ...made, kid: randomUUID(), use: "sig", alg: "RS256" };
}

const server = createServer((request, response) => handle(request, response));
let handle;
function sign(issuer) {
  const provider = new Provider(issuer, {
    clients: [client],
    jwks: { keys: [key()] },
    cookies: { keys: [randomUUID()] },
    claims: { openid: ["sub"], profile: ["name", "roles"] },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    // its own refuses this machine, where the platform is
    fetch: (url, options) => fetch(url, { ...options, dispatcher: undefined }),
    features: { devInteractions: { enabled: true }, backchannelLogout: { enabled: true } },
    findAccount: (_, id) => (people[id] ? { accountId: id, claims: () => ({ sub: id, ...people[id] }) } : undefined),
  });
  handle = provider.callback();
}

server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  sign(issuer);
  console.log(issuer);
  const input = createInterface({ input: process.stdin });
  input.on("line", (line) => {
    Object.assign(client, JSON.parse(line || "{}"));
    sign(issuer);
    console.log("rotated");
  });
  input.on("close", () => process.exit(0));
});

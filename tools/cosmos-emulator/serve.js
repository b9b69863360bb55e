// Runs the emulator on a free port of loopback and prints its address. Connections are kept alive: without that every
// request makes a TLS connection of its own. What it holds is gone when it ends.
const { createHttpsServer } = require(`${process.argv[2]}/node_modules/@vercel/cosmosdb-server`);

const server = createHttpsServer({ keepAlive: true, keepAliveInitialDelay: 1000 });
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => console.log(`https://127.0.0.1:${server.address().port}/`));

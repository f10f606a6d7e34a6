// HTTPS of Node.js, whose TLS library is part of its program: tls_shop.js serve PORT CERT KEY, tls_shop.js ask URL COUNT
const https = require("https");
const fs = require("fs");
const { URL } = require("url");

const [, , what, first, second, third] = process.argv;
if (what === "serve") {
    const files = { cert: fs.readFileSync(second), key: fs.readFileSync(third) };
    https.createServer(files, (_, answer) => answer.end("fine\n")).listen(Number(first), "127.0.0.1");
} else {
    const { hostname, port, pathname: path } = new URL(first);
    const agent = new https.Agent({ keepAlive: true, maxSockets: 4, rejectUnauthorized: false });
    let [left, open] = [Number(second), 0];
    const next = () => {
        if (left === 0) return open === 0 ? agent.destroy() : undefined;
        left -= 1;
        open += 1;
        https.get({ hostname, port, path, agent }, (answer) => answer.resume().on("end", () => {
            open -= 1;
            next();
        }));
    };
    for (let i = 0; i < 4; i++) next();
}

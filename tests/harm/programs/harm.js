// HTTPS of Node.js with bodies that are checked: harm.js serve PORT CERT KEY FOLDER, harm.js ask URL FOLDER ROUNDS (0: for ever)
//
// A round asks for each file of the folder and sends it back to be echoed. Its line is how many bytes came and a hash over all
// status codes, lengths and bodies in order.
const crypto = require("crypto");
const fs = require("fs");
const https = require("https");

const ROUNDS_OF_CONNECTION = 5;

function serve(port, cert, key, folder) {
    const answer = (request, response) => {
        if (request.method === "POST") return request.pipe(response);
        response.end(fs.readFileSync(`${folder}/${request.url.slice(1)}`));
    };
    https.createServer({ cert: fs.readFileSync(cert), key: fs.readFileSync(key) }, answer).listen(Number(port), "127.0.0.1");
}

function exchange(agent, url, method, body) {
    return new Promise((resolve, reject) => {
        const request = https.request(url, { agent, method, rejectUnauthorized: false }, (answer) => {
            const chunks = [];
            answer.on("data", (chunk) => chunks.push(chunk)).on("error", reject);
            answer.on("end", () => resolve({ status: answer.statusCode, body: Buffer.concat(chunks) }));
        });
        request.on("error", reject).end(body);
    });
}

async function round(agent, url, folder) {
    const hash = crypto.createHash("sha256");
    let total = 0;
    for (const name of fs.readdirSync(folder).sort()) {
        const got = await exchange(agent, `${url}/${name}`, "GET");
        const echo = await exchange(agent, `${url}/echo`, "POST", fs.readFileSync(`${folder}/${name}`));
        for (const { status, body } of [got, echo]) {
            hash.update(`${status} ${body.length} `).update(body);
            total += body.length;
        }
    }
    return `${total} ${hash.digest("hex")}`;
}

async function ask(url, folder, rounds) {
    let agent = null;
    for (let done = 0; rounds === 0 || done < rounds; done++) {
        if (done % ROUNDS_OF_CONNECTION === 0) {
            agent?.destroy();
            agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
        }
        console.log(await round(agent, url, folder));
        await new Promise((resolve) => setTimeout(resolve, 200));
    }
    agent.destroy();
}

const [, , what, ...given] = process.argv;
if (what === "serve") serve(...given);
else ask(given[0], given[1], Number(given[2]));

// An MQTT broker in memory, on the port that the argument names.
const { createServer } = require("node:net");
const broker = require("aedes")();

createServer(broker.handle).listen(Number(process.argv[2]), "127.0.0.1");

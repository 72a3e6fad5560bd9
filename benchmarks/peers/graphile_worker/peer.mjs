// graphile-worker: a local queue of 500, finished jobs deleted in batches. It records nothing of a job that went well.
//
//   node peer.mjs install DSN
//   node peer.mjs produce DSN bulk|single|latency FIRST LAST
//   node peer.mjs work DSN WARM_UP JOBS
//
// Jobs have the numbers from FIRST to before LAST; those of the warm-up are negative. `work` says "{}" after the
// warm-up and, when all have run, how long that took and how long they waited, as worker.py does.
import { Logger, makeWorkerUtils, run, runMigrations } from "graphile-worker";
import pg from "pg";

const BATCH = 500;
const BULK_CALLERS = 4;
const CALLERS = 16;
const RATE = 100; // a second
const NOTE = "x".repeat(1240);

const logger = new Logger(() => (level, message) => level === "error" && console.error(message));
const [what, dsn, ...rest] = process.argv.slice(2);
const address = new URL(dsn.replace("@/", "@localhost/"));
const connection = {
  host: address.searchParams.get("host") ?? address.hostname,
  port: Number(address.searchParams.get("port") ?? (address.port || 5432)),
  user: decodeURIComponent(address.username),
  password: decodeURIComponent(address.password),
  database: address.pathname.slice(1),
};
const pgPool = new pg.Pool({ ...connection, max: CALLERS });
pgPool.on("error", console.error);
pgPool.on("connect", (client) => client.on("error", console.error));

const now = () => (performance.timeOrigin + performance.now()) / 1000;
const item = (number) => ({ number, sent: now(), note: NOTE });

async function produce(how, first, last) {
  const utils = await makeWorkerUtils({ pgPool, logger });
  if (how === "bulk") {
    await inParallel(BULK_CALLERS, first, last, BATCH, (from, to) => {
      const numbers = Array.from({ length: to - from }, (_, at) => from + at);
      return utils.addJobs(numbers.map((number) => ({ identifier: "job", payload: item(number) })));
    });
  } else if (how === "single") {
    await inParallel(CALLERS, first, last, 1, (from) => utils.addJob("job", item(from)));
  } else {
    await inTime(first, last, (number) => utils.addJob("job", item(number)));
  }
  await utils.release();
}

async function inParallel(callers, first, last, size, call) {
  let next = first;
  const caller = async () => {
    while (next < last) {
      const from = next;
      next = Math.min(from + size, last);
      await call(from, next);
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
}

async function inTime(first, last, call) {
  const calls = [];
  const began = performance.now();
  for (let number = first; number < last; number++) {
    const wait = began + ((number - first) * 1000) / RATE - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    calls.push(call(number));
  }
  await Promise.all(calls);
}

async function work(warmUp, jobs) {
  const numbers = new Set();
  const delays = [];
  let began = Infinity;
  let ended = 0;
  let over;
  const isOver = new Promise((resolve) => (over = resolve));
  const job = ({ number, sent }) => {
    const started = now();
    if (numbers.has(number)) throw new Error(`job ${number} ran twice`);
    numbers.add(number);
    if (number >= 0) {
      delays.push((started - sent) * 1000);
      began = Math.min(began, sent);
    }
    if (numbers.size === warmUp) console.log("{}");
    if (delays.length === jobs) {
      ended = started;
      over();
    }
  };
  const worker = {
    concurrentJobs: 100,
    pollInterval: 50, // ms
    localQueue: { size: 500 },
    completeJobBatchDelay: 5, // ms
    failJobBatchDelay: 5,
  };
  const runner = await run({
    pgPool,
    logger,
    noHandleSignals: true,
    parsedCronItems: [],
    taskList: { job },
    preset: { worker },
  });
  await isOver;
  await runner.stop(); // what has run is gone from the table before it returns
  delays.sort((one, other) => one - other);
  const figures = { p50: delays[jobs >> 1], p99: delays[Math.floor(jobs * 0.99)], max: delays[jobs - 1] };
  console.log(JSON.stringify({ seconds: ended - began, ...figures }));
}

if (what === "install") await runMigrations({ pgPool, logger });
else if (what === "produce") await produce(rest[0], Number(rest[1]), Number(rest[2]));
else await work(Number(rest[0]), Number(rest[1]));
await pgPool.end();

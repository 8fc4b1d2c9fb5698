// Sends slow and quick requests together and lays out the answers as they arrive, coloured by thread.
"use strict";

const QUICK_CALLS = 40;
const SLOW_CALLS = 2;
const SLOW_MS = 1500;
// Steps around the colour wheel that keep the first dozen threads apart.
const HUE_STEP = 137.5;

const button = document.getElementById("run");
const tiles = document.getElementById("tiles");
const verdict = document.getElementById("verdict");
const threads = new Map();

async function call(path, isSlow) {
  const started = performance.now();
  const answer = await fetch(path, { cache: "no-store" });
  const served = await answer.json();
  const took = performance.now() - started;
  addTile(served, took, isSlow);
  return took;
}

function addTile(served, took, isSlow) {
  const thread = `worker ${served.worker}, ${served.thread}`;
  if (!threads.has(thread)) threads.set(thread, threads.size);
  const tile = document.createElement("li");
  tile.style.setProperty("--hue", Math.round(40 + threads.get(thread) * HUE_STEP) % 360);
  tile.title = `${thread}: ${Math.round(took)} ms`;
  if (isSlow) {
    tile.className = "slow";
    tile.textContent = `${(took / 1000).toFixed(2)} s`;
  }
  tiles.append(tile);
}

function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

// Browsers open six connections to a host: the slow calls hold two, the quick ones share the rest in turn.
async function callInTurn(count) {
  const took = [];
  let left = count;
  const lane = async () => {
    while (left-- > 0) took.push(await call("api/served", false));
  };
  await Promise.all([lane(), lane(), lane(), lane()]);
  return took;
}

async function run() {
  tiles.replaceChildren();
  verdict.textContent = "";
  threads.clear();
  const slow = Array.from({ length: SLOW_CALLS }, (_, number) => call(`slow?ms=${SLOW_MS}&n=${number}`, true));
  const took = await callInTurn(QUICK_CALLS);
  await Promise.all(slow);
  const typical = median(took).toFixed(1);
  verdict.textContent = `${QUICK_CALLS} quick answers, ${typical} ms at the median, by ${threads.size} threads in all.`;
}

button.addEventListener("click", async () => {
  button.disabled = true;
  try {
    await run();
  } catch (error) {
    verdict.textContent = `The run ended early: ${error.message}`;
  } finally {
    button.disabled = false;
  }
});

// A link that ends in #run starts at once.
if (location.hash === "#run") button.click();

// The chat over a WebSocket, and who is there over an event stream. Both come back when the server restarts.
"use strict";

const find = (id) => document.getElementById(id);
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 15_000;
// Codes after which there is no point in trying again: the end as it should be, and a message that is none.
const FINAL = new Set([1000, 1003]);

let socket = null;
let name = "";
let pause = FIRST_PAUSE;

function showState(state, text) {
  find("state").dataset.state = state;
  find("state").textContent = text;
}

function hueOf(who) {
  // FNV-1a, which spreads names around the colour wheel.
  let hash = 0x811c9dc5;
  for (const char of who) hash = Math.imul(hash ^ char.codePointAt(0), 0x01000193) >>> 0;
  return hash % 360;
}

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

function addLine(line) {
  const list = find("lines");
  const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
  const item = element("li", line.kind);
  const time = element("time", "", new Date(line.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  time.dateTime = line.at;
  if (line.kind === "said") {
    item.classList.toggle("own", line.name === name);
    const who = element("p", "who", line.name);
    who.style.setProperty("--hue", hueOf(line.name));
    who.append(" ", time);
    item.append(who, element("p", "text", line.text));
  } else {
    const verb = line.kind === "joined" ? "came in" : "left";
    item.append(element("p", "note", `${line.name} ${verb}`));
  }
  list.append(item);
  if (isAtEnd) list.scrollTop = list.scrollHeight;
}

function take(event) {
  if (event.kind !== "welcome") return addLine(event);
  name = event.name;
  pause = FIRST_PAUSE;
  find("lines").replaceChildren();
  event.lines.forEach(addLine);
  showState("in", `In the room as ${name}`);
  find("enter").hidden = true;
  find("say").hidden = false;
  find("text").focus();
}

function connect(wanted) {
  showState("coming", "Connecting …");
  const place = new URL("ws", location.href);
  place.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  place.search = new URLSearchParams({ name: wanted });
  socket = new WebSocket(place);
  socket.addEventListener("message", (message) => take(JSON.parse(message.data)));
  socket.addEventListener("close", (end) => {
    if (FINAL.has(end.code)) return showState("out", `Closed: ${end.code} ${end.reason}`);
    showState("coming", `${end.reason || "The connection is lost."} Trying again …`);
    // By chance a little earlier or later, so that not everybody comes back at once.
    setTimeout(connect, pause * (0.5 + Math.random()), wanted);
    pause = Math.min(2 * pause, LONGEST_PAUSE);
  });
}

find("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  connect(find("name").value);
});

find("say").addEventListener("submit", (event) => {
  event.preventDefault();
  if (socket.readyState !== WebSocket.OPEN) return;
  socket.send(JSON.stringify({ text: find("text").value }));
  find("text").value = "";
});

const events = new EventSource("events");

events.addEventListener("online", (event) => {
  const { names } = JSON.parse(event.data);
  find("nobody").hidden = names.length > 0;
  find("online").replaceChildren(...names.map((who) => {
    const item = element("li", "", who);
    item.style.setProperty("--hue", hueOf(who));
    return item;
  }));
});

events.addEventListener("served", (event) => {
  for (const [key, value] of Object.entries(JSON.parse(event.data))) find(key).textContent = value;
});

events.addEventListener("clock", (event) => {
  const { now } = JSON.parse(event.data);
  find("clock").dateTime = now;
  find("clock").textContent = new Date(now).toLocaleTimeString();
});

// A link that ends in #NAME comes in at once.
if (location.hash.length > 1) connect(decodeURIComponent(location.hash.slice(1)));
else find("name").focus();

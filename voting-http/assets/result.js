// The result page: follows the event stream. Without this script the page reloads itself.
"use strict";

const root = document.getElementById("result");
const total = document.getElementById("total");
const summary = document.getElementById("summary");
const live = document.getElementById("live");
const liveText = document.getElementById("live-text");
const announcer = document.getElementById("announce");
const voteLink = document.getElementById("vote-link");
const rows = new Map([...root.querySelectorAll("[data-option]")].map((row) => [row.dataset.option, row]));

// Screen readers hear the totals at most this often; the eye gets every change.
const ANNOUNCE_EVERY_MS = 10_000;

let version = Number(root.dataset.version);
let state = root.dataset.state; // of the poll: open, closing, final
const STEP = { open: 0, closing: 1, final: 2 };
let source = null;
let retryTimer = 0;
let retryDelay = 0;

// ---- Words. The same as in the server's templates. ----

const number = new Intl.NumberFormat("en");
const votesText = (n) => `${number.format(n)} ${n === 1 ? "vote" : "votes"}`;
const percentOf = (votes, voters) => (voters === 0 ? 0 : Math.round((votes * 1000) / voters) / 10);

function summaryText(voters) {
  if (state === "closing") return "Voting has ended. The last votes are being counted.";
  if (voters === 0) return state === "open" ? "No votes yet. Yours could be the first." : "The poll closed without any votes.";
  return state === "open" ? "Voting is open." : "The poll is closed. This is the result.";
}

// ---- Drawing ----

function draw(tally) {
  // After a reconnection another replica may answer that is a moment behind: never go back.
  if (tally.poll !== root.dataset.poll || tally.version < version || STEP[tally.state] < STEP[state]) return;
  const changed = tally.version > version || tally.state !== state;
  version = tally.version;

  state = tally.state;
  const most = Math.max(...tally.options.map((option) => option.votes));
  const leaders = tally.options.filter((option) => option.votes === most && most > 0).length;
  const word = leaders > 1 ? "Tied" : state === "final" ? "Most votes" : "Leading";

  total.textContent = votesText(tally.voters);
  summary.textContent = summaryText(tally.voters);
  if (voteLink) voteLink.hidden = state !== "open" || tally.voters > 0;

  for (const option of tally.options) {
    const row = rows.get(option.id);
    if (!row) continue;
    const percent = percentOf(option.votes, tally.voters);
    row.dataset.votes = option.votes;
    row.classList.toggle("leading", option.votes === most && most > 0);
    row.querySelector(".percent").textContent = `${percent}%`;
    row.querySelector(".votes").textContent = votesText(option.votes);
    row.querySelector(".lead-word").textContent = word;
    row.querySelector("rect").setAttribute("width", `${percent}%`);
  }
  if (changed) announceSoon(tally);
}

let lastTally = null;
let announceTimer = 0;
let lastAnnounced = 0;

// Waits for the end of the quiet period, then says the newest state once.
function announceSoon(tally) {
  lastTally = tally;
  if (announceTimer) return;
  const wait = Math.max(0, lastAnnounced + ANNOUNCE_EVERY_MS - Date.now());
  announceTimer = setTimeout(() => {
    announceTimer = 0;
    lastAnnounced = Date.now();
    // Sixty-three options read aloud would help nobody: the first three places do.
    const places = [...lastTally.options].sort((x, y) => y.votes - x.votes).slice(0, 3)
      .map((option) => `${option.label} ${percentOf(option.votes, lastTally.voters)}%`);
    const ended = state === "open" ? "" : `${summaryText(lastTally.voters)} `;
    announcer.textContent = `${ended}${votesText(lastTally.voters)}. ${places.join(", ")}.`;
  }, wait);
}

function connection(now) {
  // A final result has nothing live about it. The stream stays, for the labels may change.
  if (now === "live" && state === "final") now = "final";
  if (live.dataset.state === now) return;
  live.dataset.state = now;
  liveText.textContent = { live: "Live", waiting: "Reconnecting", final: "Final" }[now];
  live.hidden = false;
}

// ---- The stream ----

function start() {
  if (source) return;
  clearTimeout(retryTimer);
  source = new EventSource(root.dataset.events);
  source.addEventListener("open", () => {
    retryDelay = 0;
    connection("live");
  });
  source.addEventListener("tally", (event) => {
    draw(JSON.parse(event.data));
    connection("live");
  });
  source.addEventListener("error", () => {
    connection("waiting");
    // EventSource comes back by itself after a lost connection, but it gives up for good
    // when it gets an error status (a replica or balancer that is restarting). Then it is
    // on us, a little later each time and not all browsers at once.
    if (source?.readyState !== EventSource.CLOSED) return;
    stop();
    retryDelay = Math.min(30_000, Math.max(1_000, retryDelay * 2));
    retryTimer = setTimeout(start, retryDelay * (0.5 + Math.random() / 2));
  });
}

function stop() {
  clearTimeout(retryTimer);
  source?.close();
  source = null;
}

// A page nobody looks at holds no connection: browsers allow only six per site over
// HTTP/1.1, and open streams keep a page out of the back/forward cache.
document.addEventListener("visibilitychange", () => (document.hidden ? stop() : start()));
window.addEventListener("pagehide", stop);
window.addEventListener("pageshow", (event) => event.persisted && start());

if (!document.hidden) start();

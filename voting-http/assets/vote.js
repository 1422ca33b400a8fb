// The vote page: votes without a reload. Without this script the form posts as usual.
"use strict";

const form = document.getElementById("ballot");
const statusBox = document.getElementById("status");
const options = [...form.querySelectorAll("[data-option]")];
const list = form.querySelector(".options");
const send = document.getElementById("send");
const hint = document.getElementById("hint");
const count = document.getElementById("count");
const boxes = [...form.querySelectorAll("input[name=vote]")];
const max = Number(form.dataset.max);
const isOpen = form.dataset.open === "true";

// What this browser voted is remembered per poll and voter tag. The server changes the tag
// when it no longer knows the voter (or starts over), and then nothing is shown.
const memoryPrefix = `voting:${form.dataset.poll}:`;
const memoryKey = memoryPrefix + form.dataset.voter;

let confirmed = []; // what the server has accepted
let busy = false;

// ---- Memory. Storage may be switched off: the page works without it. ----

function recall() {
  try {
    for (const key of Object.keys(localStorage)) {
      if (key.startsWith(memoryPrefix) && key !== memoryKey) localStorage.removeItem(key);
    }
    const { choices } = JSON.parse(localStorage.getItem(memoryKey)) ?? {};
    const known = options.map((option) => option.dataset.option);
    return Array.isArray(choices) ? choices.filter((id) => known.includes(id)) : [];
  } catch {
    return [];
  }
}

function remember() {
  try {
    localStorage.setItem(memoryKey, JSON.stringify({ choices: confirmed }));
  } catch { /* full or switched off */ }
}

// ---- Drawing ----

// Shows the confirmed vote, and which option is on its way (if any).
function draw(sending = []) {
  list.classList.toggle("voted", confirmed.length > 0);
  form.setAttribute("aria-busy", String(busy));
  if (hint) hint.textContent = confirmed.length ? hint.dataset.after : hint.dataset.before;
  for (const option of options) {
    const id = option.dataset.option;
    const chosen = confirmed.includes(id);
    const inFlight = busy && sending.includes(id);
    option.classList.toggle("chosen", chosen);
    option.classList.toggle("busy", inFlight && option.matches("button"));
    if (option.matches("button")) {
      // aria-disabled, not disabled: a disabled button would lose the keyboard focus.
      option.setAttribute("aria-disabled", String(busy));
      option.setAttribute("aria-busy", String(inFlight));
    }
    option.querySelector(".action").textContent = actionText(option, chosen, inFlight);
  }
  if (send) {
    send.setAttribute("aria-disabled", String(busy));
    send.setAttribute("aria-busy", String(busy));
    send.textContent = busy ? "Sending…" : confirmed.length ? "Change vote" : "Vote";
  }
}

function actionText(option, chosen, inFlight) {
  if (inFlight && option.matches("button")) return "Sending…";
  if (chosen) return "Your vote";
  if (!option.matches("button")) return "";
  return confirmed.length ? "Change to this" : "Vote";
}

// `retry` is what "Try again" does; without it the button is left out.
function say(kind, text, retry) {
  const notice = document.getElementById(`notice-${kind}`).content.cloneNode(true);
  notice.querySelector("p").textContent = text;
  const button = notice.querySelector("button");
  if (button && retry) button.addEventListener("click", retry);
  else button?.remove();
  statusBox.replaceChildren(notice);
}

function label(id) {
  const option = options.find((each) => each.dataset.option === id);
  return option.querySelector(".label").textContent.trim();
}

// ---- Voting. What a voter is told has the words of src/vote/page.rs and src/problem.rs. ----

async function vote(choices) {
  if (busy) return; // a second tap while the first is on its way
  busy = true;
  statusBox.replaceChildren();
  if (count) drawCount();
  draw(choices);
  const outcome = await put(choices);
  busy = false;
  if (outcome.ok) {
    confirmed = choices;
    remember();
    const what = choices.length === 1 ? `Your vote for ${label(choices[0])} is in.` : `Your ${choices.length} choices are in.`;
    say("good", `${what} You can change your vote until the poll closes.`);
  } else if (outcome.closed) {
    // The page as it is for a closed poll; what was voted before is remembered.
    location.replace(location.href);
    return;
  } else {
    say("bad", outcome.text, outcome.retry && (() => sendAgain(choices)));
  }
  draw();
}

// Presses the same button again: the focus goes back to it (the notice is about to
// disappear), and with checkboxes it sends what is ticked by then.
function sendAgain(choices) {
  const button = send ?? options.find((option) => option.dataset.option === choices[0]);
  button.focus();
  form.requestSubmit(button);
}

async function put(choices) {
  let response;
  try {
    response = await fetch(form.dataset.url, {
      method: "PUT",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify({ choices }),
      signal: AbortSignal.timeout?.(10_000),
    });
  } catch {
    // Lost on the way there or on the way back: we cannot know which, so we do not claim.
    return { retry: true, text: "We could not reach the server, so your vote is not confirmed. Please try again. It counts only once." };
  }
  if (response.ok) return { ok: true };

  const problem = await response.json().catch(() => ({}));
  const reason = sentence(problem.detail) || sentence(problem.title);
  // The one failure after which the vote may count all the same.
  if (problem.type === "urn:voting:problem:outcome-unknown") return { retry: true, text: reason };
  if (problem.type === "urn:voting:problem:poll-closed") return { closed: true };
  const retry = response.status >= 500 || response.status === 429 || response.status === 408;
  if (!retry) return { retry, text: `Your vote was not counted. ${reason}`.trim() };

  const seconds = Number(response.headers.get("Retry-After"));
  const when = seconds > 0 ? `in ${seconds} ${seconds === 1 ? "second" : "seconds"}` : "in a moment";
  return { retry, text: `Your vote was not counted. ${reason} Please try again ${when}.`.replace("  ", " ") };
}

function sentence(text) {
  if (typeof text !== "string" || !text.trim()) return "";
  return /[.!?]$/.test(text.trim()) ? text.trim() : `${text.trim()}.`;
}

// ---- Several choices ----

const ticked = () => boxes.filter((box) => box.checked).map((box) => box.value);

function drawCount(text) {
  const n = ticked().length;
  count.classList.toggle("full", Boolean(text));
  count.textContent = text ?? `${n} of ${max} chosen`;
}

for (const box of boxes) {
  box.addEventListener("change", () => {
    // Undo with a reason beats switching boxes off: those can be reached by nobody.
    const tooMany = ticked().length > max;
    if (busy || tooMany) box.checked = !box.checked;
    if (!busy) statusBox.replaceChildren(); // what it said is about an earlier choice
    drawCount(tooMany ? `${max} is the most. Clear one first.` : undefined);
  });
}

// ---- Start ----

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!isOpen) return;
  if (boxes.length === 0) {
    // Without a submitter (an old browser) we cannot know which button it was.
    if (event.submitter?.value) vote([event.submitter.value]);
  } else if (ticked().length === 0) {
    drawCount("Choose at least one.");
  } else {
    vote(ticked());
  }
});

// A page that answers a form post carries a notice, and then the server is right. On any
// other page our memory is fresher: votes are accepted first and stored a moment later.
const fromServer = options.filter((option) => option.classList.contains("chosen")).map((option) => option.dataset.option);
const isAnswer = statusBox.querySelector(".notice") !== null;
const fromMemory = recall();
confirmed = isAnswer || fromMemory.length === 0 ? fromServer : fromMemory;
if (isAnswer && confirmed.length) remember();
for (const box of boxes) box.checked = confirmed.includes(box.value);
if (boxes.length) drawCount();
draw();

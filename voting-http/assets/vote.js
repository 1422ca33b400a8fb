// The vote page: votes without a reload, and follows its poll. Without this script the form posts as usual.
// Written so that browsers of ten years can read it; those that lack what it needs are left with the form.
//
// It has no words of its own. Where it reads texts.NAME, the service puts the text of this name, in the language of the page.
(function () {
  "use strict";

  if (!window.fetch || !window.Promise || !("content" in document.createElement("template"))) return;

  var form = byId("ballot");
  var statusBox = byId("status");
  var list = form.querySelector(".options");
  var options = all(form, ".option");
  var inputs = all(form, "input[name=vote]"); // none where each option is a button
  var hint = byId("hint");
  var send = byId("send");
  var count = byId("count");
  var forget = byId("forget");
  var blankForm = byId("blank"); // where a vote may be blank
  var withdraw = byId("withdraw"); // where a vote may be taken back
  var deadline = byId("deadline");
  var countdown = byId("countdown");
  var state = byId("state");
  var max = Number(form.dataset.max);
  var several = max > 1;
  var revote = form.dataset.revote === "true"; // else the first vote counts
  var words = parsed(form.dataset.words); // what is said of the poll, as long as it has not changed
  var opens = Number(form.dataset.opens) || 0; // in milliseconds since 1970; 0: at no set time
  var closes = Number(form.dataset.closes) || 0;
  var ahead = (Number(form.dataset.now) || Date.now()) - Date.now(); // how far the server's clock is ahead of this one

  // In the page it would be there twice.
  inputs.forEach(function (input, index) { options[index].dataset.option = input.value; });

  var ANSWER_MS = 10000; // a vote may take so long
  var FOLLOW_MS = 5000; // the poll is looked at after so long, and up to two seconds more
  var PROOF_MS = 60000; // a browser computes for so long, then its form waits instead

  var pollState = form.dataset.state; // scheduled, open, closing, final, archived
  var voter = form.dataset.voter; // names the voter to the server; not who it is
  var confirmed = all(form, ".chosen").map(idOf); // the last vote that the server has confirmed
  var blank = form.dataset.blank === "true"; // that vote is blank
  var ballot = form.dataset.ballot || ""; // another one for each vote that is confirmed
  var forgotten = hint.textContent === words.forgotten; // there was a vote, and the voter had its choices forgotten
  var unsure = false; // a later vote may have arrived as well
  var tried = null; // the choices of that vote, if this page has sent it
  var sending = null; // the choices that are on their way
  var failed = null; // choices that did not get through, and when
  var offline = null; // the same, where the voter was told that they are sent again; kept in this page only
  var told = false; // something was said that a page which is loaded again would not say
  var newVoter = null; // whom the cookie names by now, where it named another one who has voted
  var casts = 0;

  function byId(id) {
    return document.getElementById(id);
  }

  function all(root, selector) {
    return Array.prototype.slice.call(root.querySelectorAll(selector));
  }

  function idOf(option) {
    return option.dataset.option;
  }

  function isOpen() {
    return pollState === "open";
  }

  // Whether a vote is known. The choices of one that was forgotten are not.
  function hasVote() {
    return confirmed.length > 0 || blank;
  }

  // Whether a vote can be sent.
  function takes() {
    return isOpen() && (revote || !hasVote());
  }

  function ticked() {
    return inputs.filter(function (input) { return input.checked; }).map(function (input) { return input.value; });
  }

  function same(one, other) {
    return one.length === other.length && one.every(function (id) { return other.indexOf(id) >= 0; });
  }

  function toggle(element, name, on) {
    element.classList[on ? "add" : "remove"](name);
  }

  // ---- Words ----

  // A text with these values in its places, which are written {name}.
  function fill(text, values) {
    return text.replace(/\{(\w+)\}/g, function (place, name) { return name in values ? values[name] : place; });
  }

  // The form for this number. A browser that knows no plural forms gets the one that fits most numbers.
  function counted(forms, number, values) {
    var rules = window.Intl && Intl.PluralRules ? new Intl.PluralRules(document.documentElement.lang) : null;
    var all = values || {};
    all.number = number;
    return fill(forms[rules ? rules.select(number) : "other"] || forms.other, all);
  }

  // Sentences, one after the other. Empty ones are left out.
  function inARow() {
    return Array.prototype.reduce.call(arguments, function (one, two) {
      return one && two ? fill(texts.sentences, { one: one, two: two }) : one || two || "";
    }, "");
  }

  function labelOf(option) {
    return option.querySelector(".label").textContent.trim();
  }

  // A short label as it is, a long one in quotes and cut.
  function quoted(label) {
    if (label.length <= 28) return markedOff(label);
    return fill(texts.quoted, { text: markedOff(label.length <= 40 ? label : label.slice(0, 40).replace(/[\ud800-\udbff]$/, "").trim() + "…") });
  }

  // Where the label or the page is written from right to left, neither moves signs of the other.
  function markedOff(label) {
    var meets = document.documentElement.dir === "rtl" || /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefe]|\ud802|\ud803|\ud83a|\ud83b/.test(label);
    return meets ? "\u2068" + label + "\u2069" : label;
  }

  function isIn(choices) {
    if (!choices.length) return texts.blank_is_in;
    if (choices.length !== 1) return counted(texts.choices_are_in, choices.length);
    var label = options.filter(function (option) { return idOf(option) === choices[0]; }).map(labelOf)[0];
    return fill(texts.vote_is_in, { label: quoted(label || "") });
  }

  // What is left when a vote came too late, or was refused.
  function whatCounts() {
    if (unsure) return texts.unknown_earlier;
    return hasVote() ? texts.earlier_counts : "";
  }

  // ---- What is said ----

  // `again` is what the button does, "Try again" unless it has another word; without it the button is left out.
  function say(kind, text, again, word) {
    var notice = byId("notice").content.cloneNode(true);
    notice.firstElementChild.classList.add(kind);
    notice.querySelector(".words").textContent = text;
    var results = notice.querySelector("a");
    var button = notice.querySelector("button.then");
    if (kind === "good") notice.querySelector("use").setAttribute("href", "#icon-check");
    else if (results && isOpen()) results.parentNode.removeChild(results);
    if (word) button.textContent = word;
    if (again) button.addEventListener("click", again);
    else button.parentNode.removeChild(button);
    notice.querySelector(".dismiss").addEventListener("click", dismiss);
    hush();
    statusBox.appendChild(notice);
    if (count) toggle(count, "off", true);
    // In a low window the dock is at the end of the page.
    var place = statusBox.getBoundingClientRect();
    if (kind === "bad" && (place.top < 0 || place.bottom > window.innerHeight)) statusBox.scrollIntoView({ block: "nearest" });
  }

  function hush() {
    var back = send || form.querySelector("button.chosen") || options[0];
    if (statusBox.contains(document.activeElement)) back.focus();
    statusBox.textContent = "";
    if (count) toggle(count, "off", false);
  }

  // Whoever has had enough of a message does not want what it announces either.
  function dismiss() {
    failed = offline = null;
    hush();
  }

  function isSaid() {
    return statusBox.querySelector(".notice") !== null;
  }

  // ---- Drawing ----

  function draw() {
    var open = isOpen();
    setText(hint, !open ? words.shut_line : confirmed.length ? words.after : blank ? words.blank : forgotten ? words.forgotten : words.before);
    toggle(state, "open", open);
    setText(byId("state-word"), open ? texts.open : words.shut);
    var until = !open ? "" : hasVote() || forgotten ? words.deadline_after : words.deadline;
    if (until) setText(deadline, until);
    if (until) deadline.hidden = false;
    toggle(deadline, "off", !until);
    drawCountdown();
    toggle(list, "voted", confirmed.length > 0);
    toggle(list, "shut", !takes());
    toggle(forget, "off", !hasVote());
    toggle(byId("yours"), "off", !hasVote() && !forgotten);
    if (blankForm) toggle(blankForm, "off", !takes() || blank || sending !== null);
    if (withdraw) toggle(withdraw, "off", !open || !(hasVote() || forgotten) || sending !== null);
    form.setAttribute("aria-busy", String(sending !== null));
    options.forEach(drawOption);
    if (!send) return;
    // aria-disabled, not disabled or hidden: those would lose the keyboard focus.
    if (takes()) send.disabled = false;
    send.setAttribute("aria-disabled", String(!takes() || sending !== null));
    setText(send, pollState === "scheduled" ? words.shut : sending ? texts.sending : !hasVote() ? texts.vote : revote ? texts.change_vote : texts.received_word);
    drawCount();
  }

  // How long it is until the poll opens or closes. Another line says when it does.
  function drawCountdown() {
    clearTimeout(countdownTimer);
    var at = pollState === "scheduled" ? opens : isOpen() ? closes : 0;
    var left = at && at - serverNow();
    countdown.hidden = left <= 0;
    if (left <= 0) return;
    setText(countdown, fill(isOpen() ? texts.closes_in : texts.opens_in, { time: inWords(Math.ceil(left / 1000)) }));
    countdownTimer = setTimeout(drawCountdown, left % 1000 + 20);
  }

  function inWords(seconds) {
    var units = [[Math.floor(seconds / 86400), texts.days], [Math.floor(seconds / 3600) % 24, texts.hours], [Math.floor(seconds / 60) % 60, texts.minutes], [seconds % 60, texts.seconds]];
    while (units.length > 1 && !units[0][0]) units.shift();
    var parts = units.slice(0, 2).filter(function (unit, index) { return unit[0] || !index; });
    return parts.map(function (unit) { return counted(unit[1], unit[0]); }).reduce(function (one, two) {
      return fill(texts.time_parts, { one: one, two: two });
    });
  }

  function serverNow() {
    return Date.now() + ahead;
  }

  function drawOption(option) {
    var id = idOf(option);
    var input = option.querySelector("input");
    var chosen = confirmed.indexOf(id) >= 0;
    var onItsWay = sending !== null && sending.indexOf(id) >= 0;
    toggle(option, "chosen", chosen);
    toggle(option, "busy", onItsWay && !input);
    var control = input || option;
    if (takes()) control.disabled = false;
    control.setAttribute("aria-disabled", String(!takes() || (sending !== null && !input)));
    option.querySelector(".action").textContent = actionText(id, input, chosen, onItsWay);
  }

  function actionText(id, input, chosen, onItsWay) {
    if (onItsWay) return texts.sending;
    var yours = !revote ? texts.received_word : unsure ? texts.last_confirmed : texts.your_vote;
    var wasTried = unsure && tried && tried.indexOf(id) >= 0;
    if (input) {
      if (chosen) return input.checked || !takes() ? yours : fill(texts.until_sent, { what: yours });
      if (wasTried && (input.checked || !takes())) return texts.sent_not_confirmed;
      return input.checked && takes() ? texts.not_sent : "";
    }
    if (chosen) return yours;
    if (wasTried) return texts.sent_not_confirmed;
    if (!takes()) return "";
    return hasVote() ? texts.change_to_this : texts.vote;
  }

  function drawCount(text) {
    toggle(count, "full", Boolean(text));
    var now = ticked();
    var sum = several && takes() ? counted(texts.chosen_of, now.length, { max: max }) : "";
    var sent = !takes() || sending ? "" : sentText(now);
    setText(count, text || inARow(sum, sent));
  }

  function sentText(now) {
    if (unsure && tried && same(now, tried)) return texts.count_not_confirmed;
    if (!same(now, confirmed)) return texts.count_not_sent;
    if (!now.length) return "";
    return unsure ? texts.count_last_confirmed : texts.count_yours;
  }

  // A live region speaks whenever its text is set, even to the same.
  function setText(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  // ---- Voting ----

  // `kept` is what was kept of a try before, if this page tries again by itself.
  function vote(choices, kept) {
    if (sending) return; // a second tap while the first is on its way
    if (newVoter) return sayLost(choices);
    if (keeper && !kept) keeper.claim();
    sending = choices;
    failed = offline = null;
    casts += 1;
    remember(true);
    hush();
    draw();
    put(choices, kept).then(function (outcome) {
      sending = null;
      outcome.tell(choices);
      draw();
      follow(0);
    });
  }

  // Who has voted, and has lost the cookie, must not count twice without knowing it.
  function sayLost(choices) {
    var anew = choices && function () {
      voter = newVoter;
      newVoter = null;
      sendAgain(choices);
    };
    failed = offline = null;
    say("bad", texts.cookie_lost, anew, texts.vote_as_new);
  }

  // Whether the outcome of a vote is not known: also after this page is loaded again.
  var TRY = "voting:try:" + form.dataset.poll;

  function remember(open) {
    try {
      if (open) sessionStorage.setItem(TRY, voter);
      else sessionStorage.removeItem(TRY);
    } catch (error) { /* switched off */ }
  }

  function isOpenEnded() {
    try { return sessionStorage.getItem(TRY) === voter; } catch (error) { return false; }
  }

  // Presses the same button again: the focus goes back to it (the notice is about to disappear), and
  // in a list it sends what is selected by then.
  function sendAgain(choices) {
    var option = options.filter(function (each) { return idOf(each) === choices[0]; })[0];
    (send || option).focus();
    vote(inputs.length ? ticked() : choices);
  }

  var stored = {
    tell: function (choices) {
      confirmed = choices;
      forgotten = blank = false;
      isSure();
      keepTicks(null);
      // Above a list the hint says so all the time.
      say("good", revote ? inARow(isIn(choices), words.thanks) : texts.received);
      tellOtherTabs();
    }
  };

  function isSure() {
    unsure = false;
    tried = null;
    remember(false);
  }

  var closed = {
    tell: function () {
      pollState = "closing";
      told = true;
      if (!unsure) remember(false);
      dropTicks();
      say("bad", inARow(texts.closed_before, whatCounts()));
    }
  };

  // Whether it arrived is not known. `kept`: it is sent again.
  function unknown(kept) {
    return {
      tell: function (choices) {
        unsure = true;
        tried = choices;
        failed = { choices: choices, at: Date.now() };
        offline = kept || null;
        if (kept) keeper.tell(kept, choices);
        else say("bad", texts.unknown, function () { sendAgain(choices); });
      }
    };
  }

  function refused(text, again, word) {
    return refusedAs(inARow(texts.not_counted, text), again, word);
  }

  function refusedAs(text, again, word) {
    return {
      tell: function (choices) {
        if (!unsure) remember(false);
        say("bad", inARow(text, unsure && whatCounts()), again && function () { again(choices); }, word);
      }
    };
  }

  // Never fails: it says what is known.
  function put(choices, kept, proof) {
    var request = {
      method: "PUT",
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error", // nobody else takes votes
      headers: { "Content-Type": "application/json", "Accept": "application/json", "Voter-Tag": voter },
      body: padded(JSON.stringify({ choices: choices }))
    };
    if (proof) request.headers["Voter-Proof"] = proof;
    return inTime(form.dataset.url, request, read).then(function (outcome) {
      return outcome.challenge && !proof ? prove(choices, kept, outcome.challenge) : outcome;
    }, function () {
      // Lost on the way there or on the way back: nobody can tell which.
      return unknown(keeper && keeper.again(kept));
    });
  }

  // The number of bytes tells nobody on the network what was chosen.
  function padded(text) {
    while (text.length % 512) text += " ";
    return text;
  }

  // Very many new voters come, and each of them does some work (ALTCHA's proof of work).
  function prove(choices, kept, challenge) {
    say("news", texts.proving);
    return solve(challenge).then(function (proof) {
      return proof ? put(choices, kept, proof) : sendForm(choices);
    });
  }

  // An empty text if this browser cannot solve it in time.
  function solve(challenge) {
    return new Promise(function (resolve) {
      var worker = null;
      var timer = setTimeout(end, PROOF_MS, "");
      function end(proof) {
        clearTimeout(timer);
        if (worker) worker.terminate();
        resolve(proof);
      }
      try {
        worker = new Worker(form.dataset.proof);
        worker.onmessage = function (event) { end(event.data); };
        worker.onerror = function () { end(""); };
        worker.postMessage(challenge);
      } catch (error) {
        end("");
      }
    });
  }

  // The answer is a page whose form waits.
  function sendForm(choices) {
    tick(choices);
    if (!inputs.length) {
      var field = document.createElement("input");
      field.type = "hidden";
      field.name = "vote";
      field.value = choices[0];
      form.appendChild(field);
    }
    form.elements.voter.value = voter;
    if (!unsure) remember(false);
    form.submit();
    return new Promise(function () { });
  }

  // Only what our service says in so many words is known. All else may be from somebody in between.
  function read(response) {
    if (response.redirected || (response.type && response.type !== "basic" && response.type !== "default")) return unknown();
    return response.text().then(function (text) {
      var answer = parsed(text);
      if (response.status === 202 && typeof answer.receipt === "string" && answer.receipt) {
        // Two tabs of a new browser are given a cookie each; the browser keeps one.
        if (typeof answer.voter === "string") voter = answer.voter;
        return stored;
      }
      var kind = /^urn:voting:problem:(.+)$/.exec(answer.type);
      if (!kind || response.status < 400 || answer.status !== response.status) return unknown();
      return problem(kind[1], response, answer);
    });
  }

  function problem(kind, response, answer) {
    if (kind === "outcome-unknown" || kind === "internal") return unknown();
    if (kind === "poll-closed") return closed;
    // A program would be told in English. What an application refuses is in its own words.
    var reason = texts.problems[kind] || String(answer.detail || answer.title);
    if (kind === "poll-not-open" || kind === "poll-changed") return refusedAs(reason);
    if (kind === "cookies-needed") return refused(texts.cookies_blocked, sendAgain);
    if (/-voter-cookie$/.test(kind)) return refused(texts.cookie_unreadable, function () { location.reload(); }, texts.start_over);
    if (kind === "proof-needed" && answer.challenge) {
      var needed = refused(texts.crowded, sendAgain);
      needed.challenge = answer.challenge;
      return needed;
    }
    if (response.status < 500 && response.status !== 429 && response.status !== 408) return refused(reason);
    var seconds = Number(response.headers.get("Retry-After"));
    return refused(inARow(reason, seconds > 1 ? counted(texts.again_in_seconds, seconds) : texts.again_soon), sendAgain);
  }

  function parsed(text) {
    try {
      var value = JSON.parse(text);
      return value && typeof value === "object" ? value : {};
    } catch (error) {
      return {};
    }
  }

  // What `use` makes of the answer, if it comes in time.
  function inTime(url, request, use) {
    var stop = window.AbortController ? new AbortController() : null;
    if (stop) request.signal = stop.signal;
    return new Promise(function (resolve, reject) {
      var timer = setTimeout(function () {
        if (stop) stop.abort();
        reject(new Error("no answer in time"));
      }, ANSWER_MS);
      fetch(url, request).then(use).then(resolve, reject).then(function () { clearTimeout(timer); });
    });
  }

  // ---- What a first vote does not need: keep.js, which sends again what did not get through, and the button to share ----

  var keeper = null;
  var own = document.currentScript.src; // with the language

  function beside(name) {
    return own.replace(/vote([.\w-]*\.js)/, name);
  }

  window.addEventListener("load", function () {
    // Whoever has a code or signs in may have voted on another device since.
    if (form.dataset.keeps) load(beside("keep$1"));
    load(beside("share.js"));
  });

  function load(url) {
    var script = document.createElement("script");
    script.src = url;
    document.head.appendChild(script);
  }

  window.votingKeeper = function (make) {
    keeper = make({
      poll: form.dataset.poll,
      say: say,
      vote: vote,
      drop: drop,
      kept: function () { return offline; },
      takes: function () { return !sending && !newVoter && takes(); },
      // A vote that was lost just before the network was lost by this.
      lost: function (kept) {
        if (failed && isSaid() && Date.now() - failed.at < ANSWER_MS) unknown(kept).tell(failed.choices);
      }
    });
  };

  window.addEventListener("online", function () { follow(0); });

  // Says that it is not sent again.
  function drop() {
    if (offline) unknown().tell(offline.choices);
  }

  // ---- Following the poll, and what other tabs of this browser do ----

  var timer = 0;
  var countdownTimer = 0;
  var asking = false;

  function follow(after) {
    clearTimeout(timer);
    if ((pollState === "final" || pollState === "archived") && after > 0) return;
    timer = setTimeout(ask, after);
  }

  function later() {
    if (document.hidden) return;
    var wait = FOLLOW_MS + Math.random() * 2000;
    // At a set time the poll changes. Not all browsers ask at the same moment.
    var left = (pollState === "scheduled" ? opens : isOpen() ? closes : 0) - serverNow();
    follow(left > 0 && left < wait ? left + 100 + Math.random() * 900 : wait);
  }

  function ask() {
    if (asking || sending) return later();
    asking = true;
    var before = casts;
    inTime(form.dataset.follow, { credentials: "same-origin", headers: { "Accept": "application/json", "Voter-Tag": voter } }, function (response) {
      if (response.status !== 200 || response.redirected) return "";
      takeClock(Date.parse(response.headers.get("Date")));
      return response.text();
    }).then(function (text) {
      // An answer from before a vote says nothing of that vote.
      if (casts !== before || !text) return;
      take(parsed(text));
      if (keeper) keeper.resend();
    }).then(null, function () { }).then(function () {
      asking = false;
      later();
    });
  }

  // A page that a browser has kept is older than its text says. The header has whole seconds only.
  function takeClock(at) {
    if (at && Math.abs(at - serverNow()) > 2000) ahead = at + 500 - Date.now();
  }

  function take(now) {
    if (!Array.isArray(now.ids) || !Array.isArray(now.labels) || !Array.isArray(now.choices) || !now.words) return;
    // This page has another form than the poll. What is selected is kept.
    if (now.shape !== form.dataset.shape) return location.reload();
    words = now.words;
    opens = now.opens || 0;
    closes = now.closes || 0;
    if (now.voter === null && isOpen()) {
      if (!isSaid()) say("bad", texts.cookies_blocked);
    } else if (typeof now.voter === "string" && now.voter !== voter) {
      // Somebody else has signed in: this page was made for another person.
      form.dataset.login ? location.reload() : takeVoter(now);
    }
    var news = [takeTexts(now), takeVote(now), takeState(now)].filter(Boolean);
    draw();
    if (news.length) say("news", inARow.apply(null, news));
  }

  // Two tabs of a new browser are given a cookie each; the browser keeps one. But if the voter of before has voted, the
  // cookie is lost, and this one is of a new voter.
  function takeVoter(now) {
    if (!hasVote() && !unsure || now.choices.length || now.blank) {
      voter = now.voter;
      return;
    }
    newVoter = now.voter;
    confirmed = [];
    blank = false;
    isSure();
    sayLost();
  }

  function takeTexts(now) {
    var changed = false;
    function put(element, text) {
      if (element.textContent.trim() !== text) changed = true;
      setText(element, text);
    }
    put(byId("question"), now.title);
    // A page may have the options in an order of its own.
    options.forEach(function (option) {
      var index = now.ids.indexOf(idOf(option));
      if (index >= 0) put(option.querySelector(".label"), now.labels[index]);
    });
    document.title = now.title;
    if (changed) drop(); // it was for other words
    return changed && texts.texts_changed;
  }

  function takeState(now) {
    var wasOpen = isOpen();
    var before = pollState;
    pollState = now.state;
    if (before === "scheduled" && (pollState === "closing" || pollState === "final")) location.reload();
    if (isOpen() === wasOpen) return showOutcome(before);
    if (isOpen()) {
      if (form.querySelector("div.option") || (inputs.length && !send)) location.reload(); // nothing there to press yet
      return texts.open_now;
    }
    var unsent = inputs.length && !same(ticked(), confirmed) && !(unsure && tried && same(ticked(), tried)) ? texts.unsent_not_counted : "";
    dropTicks();
    var notSent = offline && texts.not_sent_again;
    failed = offline = null;
    told = Boolean(unsent || notSent || unsure);
    showOutcome(before);
    return inARow(texts.closed_now, unsent, notSent, whatCounts());
  }

  // Once the poll is final, the page has its result.
  function showOutcome(before) {
    if (pollState === "final" && before !== pollState && form.dataset.outcome && !told) location.reload();
    return "";
  }

  // What another tab has sent, or had forgotten.
  function takeVote(now) {
    forgotten = now.forgotten === true;
    // What was tried before is not sent again in its place.
    if ((now.ballot || "") !== ballot) {
      drop();
      failed = null;
    }
    ballot = now.ballot || "";
    var wasBlank = blank;
    blank = now.blank === true;
    if (same(now.choices, confirmed) && blank === wasBlank) return "";
    var untouched = same(ticked(), confirmed);
    confirmed = now.choices;
    isSure();
    if (untouched) tick(confirmed);
    if (!hasVote() && !statusBox.querySelector(".bad")) hush();
    if (!hasVote()) return "";
    return revote ? isIn(confirmed) : texts.received;
  }

  // Tells other tabs of this browser that there is something new. What it is they ask the server: nothing
  // of a vote is kept where the next person at this device could read it.
  var SIGNAL = "voting:changed:" + form.dataset.poll;

  function tellOtherTabs() {
    try {
      localStorage.setItem(SIGNAL, String(Math.random()));
      localStorage.removeItem(SIGNAL);
    } catch (error) { /* full, or switched off */ }
  }

  // Versions before kept the choices there, under voting:POLL:VOTER.
  function dropOldMemory() {
    try {
      Object.keys(localStorage).forEach(function (key) {
        if (/^voting:[^:]*:/.test(key) && key !== SIGNAL) localStorage.removeItem(key);
      });
    } catch (error) { /* switched off */ }
  }

  window.addEventListener("storage", function (event) {
    if (event.key === SIGNAL && event.newValue) follow(0);
  });
  document.addEventListener("visibilitychange", function () {
    if (document.hidden) clearTimeout(timer);
    else follow(0);
  });
  window.addEventListener("pageshow", function (event) {
    if (event.persisted) follow(0);
  });

  // ---- Lists: what is selected and not sent ----

  function tick(choices) {
    inputs.forEach(function (input) { input.checked = choices.indexOf(input.value) >= 0; });
  }

  // Kept with this page in the history of the tab, for who goes to the results and back.
  function keepTicks(choices) {
    try {
      history.replaceState(choices && { poll: form.dataset.poll, ticked: choices }, "");
    } catch (error) { /* too often */ }
  }

  // Once a poll is closed, only the vote is shown.
  function dropTicks() {
    keepTicks(null);
    tick(confirmed);
  }

  function keptTicks() {
    var kept = history.state;
    return kept && kept.poll === form.dataset.poll && Array.isArray(kept.ticked) ? kept.ticked : null;
  }

  inputs.forEach(function (input, index) {
    input.addEventListener("click", function (event) {
      if (!takes() || sending) event.preventDefault();
    });
    input.addEventListener("change", function () {
      // Undo with a reason beats switching boxes off: those can be reached by nobody.
      var tooMany = several && ticked().length > max;
      if (tooMany) input.checked = false;
      dismiss(); // what it said is about an earlier choice
      keepTicks(ticked());
      draw();
      if (tooMany) drawCount(counted(texts.is_the_most, max));
    });
    // As between radio buttons.
    input.addEventListener("keydown", function (event) {
      var step = several && { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      inputs[(index + step + inputs.length) % inputs.length].focus();
    });
  });

  // ---- Start ----

  form.addEventListener("submit", function (event) {
    if (!inputs.length) return; // sent by its button, below
    event.preventDefault();
    if (!takes() || sending) return;
    if (ticked().length) vote(ticked());
    else drawCount(several ? texts.choose_one : texts.pick_first);
  });

  options.forEach(function (option) {
    if (option.tagName !== "BUTTON") return;
    option.addEventListener("click", function (event) {
      event.preventDefault();
      if (takes() && !sending) vote([idOf(option)]);
    });
  });

  // These load the page anew. They name the voter whom the cookie names by now.
  [blankForm, withdraw].filter(Boolean).forEach(function (other) {
    other.addEventListener("submit", function () { other.elements.voter.value = voter; });
  });

  document.addEventListener("keydown", function (event) {
    if (event.key === "Escape" && isSaid()) dismiss();
  });

  dropOldMemory();
  statusBox.classList.remove("told");
  form.querySelector(".said").appendChild(statusBox);
  if (keptTicks() && isOpen()) tick(keptTicks());
  unsure = isOpenEnded();
  if (unsure && isOpen()) say("bad", texts.unknown_before);
  draw();
  // A new visitor: is the cookie kept?
  if (form.dataset.new === "true") follow(0);
  else later();
})();

// The result page: puts in place what the event stream says. All words come from the server.
//
// Written in the JavaScript of 2009 (ES5), so that old phones and televisions can read it. Where this script
// does not run, the page reloads itself: `votingResult` at the end of this file tells it not to.
(function () {
  "use strict";

  var root = document.getElementById("result");
  if (!root || !window.addEventListener || !window.JSON || !window.XMLHttpRequest) return;

  var title = document.getElementById("title");
  var total = document.getElementById("total");
  var summary = document.getElementById("summary");
  var live = document.getElementById("live");
  var liveText = document.getElementById("live-text");
  var mute = document.getElementById("mute");
  var announcer = document.getElementById("announce");
  var voteLink = document.getElementById("vote-link");
  var list = document.getElementById("rows");
  var find = document.getElementById("find");
  var cut = list.className.indexOf(" cut") >= 0;
  // Rows that are sorted by votes stay where they are: to move them would take them away from who reads them.
  var moves = list.getAttribute("data-sort") === "poll";
  // Names the language of this page.
  var query = root.getAttribute("data-query") || "";

  // The stream gives a sign of life every 15 s. After this long without one nobody is there.
  var SILENT_MS = 40000;
  // Where no event comes through for this long the result is asked for instead, as often as this.
  var POLL_MS = 5000;
  // An answer that takes longer is not waited for.
  var PATIENCE_MS = 10000;
  // After a reconnection another replica may answer that is a moment behind. A result that is older for
  // longer than this is the right one all the same: the store has been restored.
  var BEHIND_MS = 3000;
  // Screen readers hear the totals at most this often; the eye gets every change.
  var ANNOUNCE_EVERY_MS = 10000;
  var STEPS = { draft: 0, scheduled: 0, open: 1, closing: 2, final: 3, archived: 4 };

  // A clock that nobody sets.
  function now() {
    return window.performance && performance.now ? performance.now() : new Date().getTime();
  }

  // ---- What is shown ----

  var version = Number(root.getAttribute("data-version"));
  var state = root.getAttribute("data-state");
  var behindTimer = 0;
  var changedAt = now();

  function receive(result) {
    if (result.poll !== root.getAttribute("data-poll")) return;
    clearTimeout(behindTimer);
    if (result.version < version || STEPS[result.state] < STEPS[state]) {
      behindTimer = setTimeout(function () { draw(result); }, BEHIND_MS);
      return;
    }
    draw(result);
  }

  function put(element, text) {
    // To write the same text again would be a change to screen readers.
    if (element && element.textContent !== text) element.textContent = text;
  }

  function part(row, name) {
    return row.querySelector("." + name);
  }

  function rowOf(id) {
    for (var i = 0; i < list.children.length; i += 1) {
      if (list.children[i].getAttribute("data-option") === id) return list.children[i];
    }
    return null;
  }

  function draw(result) {
    var changed = result.version !== version || result.state !== state;
    if (changed) changedAt = now();
    version = result.version;
    state = result.state;
    root.setAttribute("data-state", state);

    put(title, result.title);
    title.className = result.title_size;
    document.title = result.page_title || result.title;
    if (changed) runUp();
    say(total, result.total, result.voters);
    put(summary, result.summary);
    if (voteLink) voteLink.hidden = state !== "open";
    if (list.children.length === 2) list.className = "rows duo " + result.label_size;

    for (var i = 0; i < result.options.length; i += 1) {
      var option = result.options[i];
      var row = rowOf(option.id);
      if (!row) continue;
      if (moves && list.children[i] !== row) list.insertBefore(row, list.children[i]);
      mark(row, "leading", option.leads);
      put(row.querySelector("bdi"), option.label);
      put(part(row, "percent"), option.share);
      say(part(row, "votes"), option.votes, option.count);
      put(part(row, "lead-word"), result.lead_word);
      row.querySelector("rect").setAttribute("width", option.bar);
    }
    if (changed) announceSoon(result.announcement);
  }

  // Sets or removes a class.
  function mark(element, name, on) {
    var without = (" " + element.className + " ").replace(" " + name + " ", " ").replace(/^ +| +$/g, "");
    var classes = on ? without + " " + name : without;
    if (element.className !== classes) element.className = classes;
  }

  // The options that this browser has voted for. They may have changed in another tab.
  function drawYours(ids) {
    for (var i = 0; i < list.children.length; i += 1) {
      mark(list.children[i], "yours", ids.indexOf(list.children[i].getAttribute("data-option")) >= 0);
    }
  }

  // ---- Numbers that run up ----

  var RUN_MS = 600;
  var still = !window.requestAnimationFrame || !window.Intl || !Intl.NumberFormat ||
    (window.matchMedia && matchMedia("(prefers-reduced-motion: reduce)").matches);
  var runs = [];
  var runsSince = 0;
  var frame = 0;

  function runUp() {
    // What has not arrived yet goes on from where it is.
    runsSince = now();
  }

  // Writes a text with a number. A number that has grown by several runs up to there; the text is the server's all the time, with
  // another number in it.
  function say(element, text, to) {
    if (!element) return;
    var from = Number(element.getAttribute("data-said"));
    var known = element.hasAttribute("data-said");
    element.setAttribute("data-said", to);
    for (var i = 0; i < runs.length; i += 1) {
      if (runs[i].element === element) {
        from = runs[i].at;
        runs.splice(i, 1);
        break;
      }
    }
    var place = text.match(/[0-9][0-9.,\u00a0\u202f\u2009']*/);
    if (still || !known || !place || !(to - from > 2) || document.hidden) return put(element, text);
    var digits = place[0].replace(/[^0-9]+$/, "");
    // Another number may be the first one, or written in another way.
    if (new Intl.NumberFormat(document.documentElement.lang).format(to) !== digits) return put(element, text);
    runs.push({ element: element, from: from, to: to, at: from, text: text, begin: place.index, end: place.index + digits.length });
    if (!frame) frame = requestAnimationFrame(step);
  }

  function step() {
    frame = 0;
    var done = Math.min(1, (now() - runsSince) / RUN_MS);
    var eased = 1 - Math.pow(1 - done, 3);
    var numbers = new Intl.NumberFormat(document.documentElement.lang);
    for (var i = 0; i < runs.length; i += 1) {
      var run = runs[i];
      run.at = Math.round(run.from + (run.to - run.from) * eased);
      put(run.element, done < 1 ? run.text.slice(0, run.begin) + numbers.format(run.at) + run.text.slice(run.end) : run.text);
    }
    if (done < 1 && runs.length) frame = requestAnimationFrame(step);
    else runs = [];
  }

  // ---- The search ----

  if (find) {
    mark(document.documentElement, "scripted", true);
    var sought = document.getElementById("find-text");
    var search = function () {
      var text = sought.value.toLowerCase().replace(/^\s+|\s+$/g, "");
      var found = 0;
      mark(list, "cut", cut && !text);
      for (var i = 0; i < list.children.length; i += 1) {
        var label = list.children[i].querySelector("bdi").textContent.toLowerCase();
        list.children[i].hidden = label.indexOf(text) < 0;
        if (!list.children[i].hidden) found += 1;
      }
      document.getElementById("nothing").hidden = found > 0;
    };
    sought.addEventListener("input", search);
    find.addEventListener("submit", function (event) {
      event.preventDefault();
      search();
    });
  }

  // How fresh the numbers are: live, waiting, polled, stalled (with the time) or final.
  function freshness(kind, since) {
    // A final result has nothing live about it. The stream stays, for the texts may change.
    if (STEPS[state] >= STEPS.final && (kind === "live" || kind === "polled")) kind = "final";
    var words = live.getAttribute("data-words-" + kind);
    put(liveText, since ? words.replace("{since}", clock(since)) : words);
    live.setAttribute("data-state", kind);
  }

  function clock(since) {
    var at = new Date(since);
    var today = new Date().toDateString() === at.toDateString();
    var language = document.documentElement.lang;
    var time = at.toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit", hour12: false });
    return today ? time : at.toLocaleDateString(language) + ", " + time;
  }

  // ---- What is read aloud ----

  var announcement = "";
  var announceTimer = 0;
  var announcedAt = -ANNOUNCE_EVERY_MS;
  var muted = recallMuted();

  // Waits for the end of the quiet period, then says the newest state once.
  function announceSoon(text) {
    announcement = text;
    if (announceTimer || muted) return;
    announceTimer = setTimeout(function () {
      announceTimer = 0;
      announcedAt = now();
      put(announcer, announcement);
    }, Math.max(0, announcedAt + ANNOUNCE_EVERY_MS - now()));
  }

  function recallMuted() {
    try { return localStorage.getItem("voting:muted") === "yes"; } catch (e) { return false; }
  }

  function drawMute() {
    put(mute, mute.getAttribute(muted ? "data-off" : "data-on"));
  }

  mute.addEventListener("click", function () {
    muted = !muted;
    clearTimeout(announceTimer);
    announceTimer = 0;
    try { localStorage.setItem("voting:muted", muted ? "yes" : "no"); } catch (e) { /* for this page only */ }
    drawMute();
    if (!muted && announcement) announceSoon(announcement);
  });

  // ---- The stream ----

  var running = false;
  var begun = false;
  var source = null;
  var connectedAt = 0; // when this connection was begun
  var heardAt = 0; // when the last event came
  var quietSince = 0; // since when one is waited for
  var heard = false; // whether one has come since
  var retryTimer = 0;
  var retryDelay = 0;

  function sign() {
    heardAt = now();
    heard = true;
    retryDelay = 0;
    stopPolling();
  }

  function waitForSign() {
    if (heard) quietSince = now();
    heard = false;
  }

  function connect() {
    disconnect();
    connectedAt = now();
    waitForSign();
    if (!window.EventSource) return;
    var opened = source = new EventSource(root.getAttribute("data-live") + query);
    function on(name, does) {
      opened.addEventListener(name, function (event) {
        if (opened !== source) return;
        sign();
        does(event.data);
      });
    }
    on("result", function (data) {
      receive(JSON.parse(data));
      freshness("live");
    });
    on("stalled", function (data) { freshness("stalled", JSON.parse(data).since); });
    on("hidden", function () { leave(); });
    on("alive", function () { /* a sign of life is all that it is */ });
    opened.addEventListener("error", function () {
      if (opened !== source) return;
      if (!polling) freshness("waiting");
      waitForSign();
      // EventSource comes back by itself after a lost connection, but it gives up for good when it gets an
      // error status (a replica or a balancer that is restarting). Then it is on us, a little later each
      // time, and not all browsers at once.
      if (opened.readyState !== 2) return;
      disconnect();
      retryDelay = Math.min(30000, Math.max(1000, retryDelay * 2));
      retryTimer = setTimeout(connect, retryDelay * (0.5 + Math.random() / 2));
    });
  }

  function disconnect() {
    clearTimeout(retryTimer);
    if (source) source.close();
    source = null;
  }

  // ---- Without the stream: asking again and again ----

  var polling = false;
  var pollTimer = 0;
  var request = null;

  function poll() {
    polling = true;
    request = new XMLHttpRequest();
    var asked = request;
    var done = false;
    function answered(answer) {
      if (done || asked !== request || !polling) return;
      done = true;
      if (answer) {
        receive(answer.result);
        if (answer.yours) drawYours(answer.yours);
        if (answer.stalled_since) freshness("stalled", answer.stalled_since);
        else freshness("polled");
      } else {
        freshness("waiting");
      }
      pollTimer = setTimeout(poll, POLL_MS);
    }
    asked.open("GET", root.getAttribute("data-live") + ".json" + query);
    asked.timeout = PATIENCE_MS;
    asked.onload = function () {
      if (asked.status === 403) return leave();
      var answer = null;
      // What answers may be something else: a proxy, a login.
      try { answer = asked.status === 200 ? JSON.parse(asked.responseText) : null; } catch (e) { /* no answer */ }
      answered(answer && answer.result && answer.result.options ? answer : null);
    };
    asked.onerror = asked.ontimeout = function () { answered(null); };
    asked.send();
  }

  // The result is no longer shown to this browser: the page says why. Not all browsers load it at the same moment.
  function leave() {
    stop();
    setTimeout(function () { location.reload(); }, 1000 + Math.random() * 2000);
  }

  // Asks once which options this browser has voted for.
  function askYours() {
    var asked = new XMLHttpRequest();
    asked.open("GET", root.getAttribute("data-live") + ".json" + query);
    asked.timeout = PATIENCE_MS;
    asked.onload = function () {
      var answer = null;
      try { answer = asked.status === 200 ? JSON.parse(asked.responseText) : null; } catch (e) { /* no answer */ }
      if (answer && answer.yours) drawYours(answer.yours);
    };
    asked.send();
  }

  function stopPolling() {
    if (!polling) return;
    polling = false;
    clearTimeout(pollTimer);
    if (request) request.abort();
    request = null;
  }

  // ---- The plot ----

  var HISTORY_MS = 15000;
  var plot = document.getElementById("history");
  // The server may give a plot that is this old.
  var PLOT_AGE_MS = 6000;
  var plotted = version;

  // The plot is drawn anew where votes have come. While somebody reads its numbers it stays.
  function drawPlot() {
    var part = document.getElementById("history-part");
    var details = part.querySelector("details");
    if (!running || version === plotted || (details && details.open) || part.contains(document.activeElement)) return;
    var asked = new XMLHttpRequest();
    // A plot that may lack the newest votes is asked for once more.
    var then = now() - changedAt > PLOT_AGE_MS ? version : plotted;
    asked.open("GET", plot.getAttribute("data-url") + query);
    asked.timeout = PATIENCE_MS;
    asked.onload = function () {
      // What answers may be something else: a proxy, a login.
      if (asked.status !== 200 || asked.responseText.indexOf('class="plot"') < 0) return;
      var page = new DOMParser().parseFromString(asked.responseText, "text/html");
      // Old browsers read no HTML so. Their plot stays as it was.
      if (!page || !page.body) return;
      part.textContent = "";
      while (page.body.firstChild) part.appendChild(page.body.firstChild);
      plotted = then;
    };
    asked.send();
  }

  if (plot && window.DOMParser) setInterval(drawPlot, HISTORY_MS);

  // ---- Looks after both ----

  function watch() {
    if (!running) return;
    if (!heard && !polling && now() - quietSince > POLL_MS) poll();
    if (now() - Math.max(heardAt, connectedAt) > SILENT_MS) {
      if (!polling) freshness("waiting");
      connect();
    }
  }

  function start() {
    if (running) return;
    running = true;
    // What stands here may be of long ago.
    if (heardAt && now() - heardAt > POLL_MS) freshness("waiting");
    if (begun) askYours();
    begun = true;
    heard = true;
    connect();
  }

  function stop() {
    running = false;
    disconnect();
    stopPolling();
  }

  // A page nobody looks at holds no connection: browsers allow only six per site over HTTP/1.1, and open
  // streams keep a page out of the back/forward cache.
  document.addEventListener("visibilitychange", function () { if (document.hidden) stop(); else start(); });
  window.addEventListener("pagehide", stop);
  window.addEventListener("pageshow", function (event) { if (event.persisted && !document.hidden) start(); });
  // The network is back. What was open before may be dead without having been told.
  window.addEventListener("online", function () { if (running) connect(); });

  setInterval(watch, 1000);
  drawMute();
  mute.hidden = false;
  if (!document.hidden) start();
  window.votingResult = true;
})();

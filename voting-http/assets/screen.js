// The screen for an audience, and the result inside pages of other sites: puts in place what the event stream of the
// result says. All words come from the server.
//
// Written in the JavaScript of 2009 (ES5), so that old televisions can read it. Where no script runs, the page reloads
// itself.
(function () {
  "use strict";

  var root = document.getElementById("screen");
  if (!root || !window.addEventListener || !window.JSON || !window.XMLHttpRequest) return;

  var title = document.getElementById("title");
  var total = document.getElementById("total");
  var live = document.getElementById("live");
  var liveText = document.getElementById("live-text");
  var voteLink = document.getElementById("vote-link");
  var rows = root.querySelectorAll("[data-option]");
  var address = root.getAttribute("data-live");
  // Names the language of this page.
  var query = root.getAttribute("data-query") || "";

  // The stream gives a sign of life every 15 s. After this long without one nobody is there.
  var SILENT_MS = 40000;
  // While nothing comes through the stream, the result is asked for this often.
  var POLL_MS = 5000;
  // A result that is older than the shown one for longer than this is right all the same: the store was restored.
  var BEHIND_MS = 3000;
  var STEPS = { draft: 0, scheduled: 0, open: 1, closing: 2, final: 3, archived: 4 };

  var version = Number(root.getAttribute("data-version"));
  var state = root.getAttribute("data-state");
  var behindTimer = 0;

  function put(element, text) {
    // To write the same text again would be a change to screen readers.
    if (element && typeof text === "string" && element.textContent !== text) element.textContent = text;
  }

  function receive(result) {
    if (!result || !result.options || result.poll !== root.getAttribute("data-poll")) return;
    clearTimeout(behindTimer);
    if (result.version < version || STEPS[result.state] < STEPS[state]) {
      behindTimer = setTimeout(function () { draw(result); }, BEHIND_MS);
      return;
    }
    draw(result);
  }

  function optionOf(result, id) {
    for (var i = 0; i < result.options.length; i += 1) {
      if (result.options[i].id === id) return result.options[i];
    }
    return null;
  }

  function draw(result) {
    version = result.version;
    state = result.state;
    root.setAttribute("data-state", state);
    put(title, result.title);
    put(total, result.total);
    if (voteLink) voteLink.hidden = state !== "open";
    for (var i = 0; i < rows.length; i += 1) {
      var option = optionOf(result, rows[i].getAttribute("data-option"));
      if (!option) continue;
      rows[i].className = option.leads ? "choice leads" : "choice";
      put(rows[i].querySelector("bdi"), option.label);
      put(rows[i].querySelector(".share"), option.share);
      put(rows[i].querySelector(".count"), option.votes);
      rows[i].querySelector("rect").setAttribute("width", option.bar);
    }
  }

  // How fresh the numbers are: live, waiting, polled, stalled (with the time) or final.
  function freshness(kind, since) {
    if (STEPS[state] >= STEPS.final && (kind === "live" || kind === "polled")) kind = "final";
    var words = live.getAttribute("data-words-" + kind);
    put(liveText, since ? words.replace("{since}", clock(since)) : words);
    live.setAttribute("data-state", kind);
  }

  function clock(since) {
    var time = { hour: "2-digit", minute: "2-digit", hour12: false };
    return new Date(since).toLocaleTimeString(document.documentElement.lang, time);
  }

  // The result is no longer shown to this browser: the page says why. Not all browsers load it at the same moment.
  function leave() {
    stop();
    setTimeout(function () { location.reload(); }, 1000 + Math.random() * 2000);
  }

  var running = false;
  var source = null;
  var heardAt = 0;
  var triedAt = 0;
  var request = null;

  function now() {
    return window.performance && performance.now ? performance.now() : new Date().getTime();
  }

  function connect() {
    disconnect();
    triedAt = now();
    if (!window.EventSource) return;
    var opened = source = new EventSource(address + query);
    function on(name, does) {
      opened.addEventListener(name, function (event) {
        if (opened !== source) return;
        heardAt = now();
        does(event.data);
      });
    }
    on("result", function (data) {
      receive(JSON.parse(data));
      freshness("live");
    });
    on("stalled", function (data) { freshness("stalled", JSON.parse(data).since); });
    on("hidden", leave);
    on("alive", function () { /* a sign of life is all that it is */ });
    opened.addEventListener("error", function () {
      if (opened !== source) return;
      heardAt = 0;
      freshness("waiting");
    });
  }

  function disconnect() {
    if (source) source.close();
    source = null;
  }

  function ask() {
    var asked = request = new XMLHttpRequest();
    asked.open("GET", address + ".json" + query);
    asked.timeout = 2 * POLL_MS;
    asked.onload = function () {
      request = null;
      if (!running || heardAt) return;
      if (asked.status === 403) return leave();
      var answer = null;
      // What answers may be something else: a proxy, a login.
      try { answer = asked.status === 200 ? JSON.parse(asked.responseText) : null; } catch (e) { /* no answer */ }
      if (!answer || !answer.result) return freshness("waiting");
      receive(answer.result);
      if (answer.stalled_since) freshness("stalled", answer.stalled_since);
      else freshness("polled");
    };
    asked.onerror = asked.ontimeout = function () {
      request = null;
      if (running && !heardAt) freshness("waiting");
    };
    asked.send();
  }

  // Asks while the stream is silent, and opens it anew: at different times in different browsers.
  function watch() {
    if (!running) return;
    if (heardAt && now() - heardAt > SILENT_MS) heardAt = 0;
    if (heardAt) return;
    if (now() - triedAt > POLL_MS && !request) ask();
    var isOver = !source || source.readyState === 2 || now() - triedAt > SILENT_MS;
    if (isOver && now() - triedAt > POLL_MS * (1 + Math.random())) connect();
  }

  function start() {
    if (running) return;
    running = true;
    heardAt = 0;
    connect();
  }

  function stop() {
    running = false;
    disconnect();
    if (request) request.abort();
    request = null;
  }

  // A page nobody looks at holds no connection.
  document.addEventListener("visibilitychange", function () { if (document.hidden) stop(); else start(); });
  window.addEventListener("pagehide", stop);
  window.addEventListener("pageshow", function (event) { if (event.persisted && !document.hidden) start(); });
  window.addEventListener("online", function () { if (running) connect(); });

  setInterval(watch, 2500);
  if (!document.hidden) start();
})();

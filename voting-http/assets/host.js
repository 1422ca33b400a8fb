// Makes the host's pages more comfortable. Without this script they do all of it too.
(function () {
  "use strict";

  // ---- What was done is said once, and not again when the page is loaded again ----
  if (document.querySelector(".notice.done")) {
    var here = new URL(location.href);
    here.searchParams.delete("done");
    history.replaceState(history.state, "", here);
  }

  // ---- The address can be copied ----
  var copy = document.getElementById("copy");
  if (copy && navigator.clipboard) {
    var address = document.getElementById("address");
    copy.hidden = false;
    copy.addEventListener("click", function () {
      navigator.clipboard.writeText(address.value).then(function () {
        copy.textContent = copy.dataset.done;
      }, function () {
        address.select();
      });
    });
  }

  // ---- Figures are loaded again while the page is looked at ----
  var EVERY = 3000;

  function load() {
    var live = document.getElementById("live");
    if (!live || live.dataset.live !== "true") return;
    if (document.hidden) {
      setTimeout(load, EVERY);
      return;
    }
    // The header says that nobody has done anything: who only leaves the page open is signed out after some time.
    fetch(location.pathname, { headers: { accept: "text/html", "x-refresh": "1" }, redirect: "manual" }).then(function (answer) {
      // To the page where people sign in.
      if (answer.type === "opaqueredirect") location.reload();
      return answer.ok ? answer.text() : null;
    }).then(function (text) {
      if (!text) return;
      var page = new DOMParser().parseFromString(text, "text/html");
      var newer = page.getElementById("live");
      if (!newer) return;
      // What can be done has changed too, and is outside of the parts that are replaced.
      if (newer.dataset.live !== live.dataset.live || phase(newer) !== phase(live)) {
        location.reload();
        return;
      }
      ["live", "live-figures"].forEach(function (id) {
        var old = document.getElementById(id), now = page.getElementById(id);
        if (old && now && now.innerHTML !== old.innerHTML) old.replaceWith(now);
      });
    }).catch(function () {
      // The next one may come through.
    }).then(function () {
      setTimeout(load, EVERY);
    });
  }

  function phase(part) {
    var pill = part.querySelector(".pill");
    return pill ? pill.className : "";
  }

  setTimeout(load, EVERY);

  // ---- The time until a poll opens or closes ----
  function unit(number, name) {
    return number === 1 ? "1 " + name : number + " " + name + "s";
  }

  function two(large, of, small, than) {
    return "in " + unit(large, of) + (small ? " and " + unit(small, than) : "");
  }

  // The same words as in host/times.rs.
  function until(seconds) {
    var minutes = Math.floor(seconds / 60), hours = Math.floor(seconds / 3600), days = Math.floor(seconds / 86400);
    if (seconds <= 0) return "now";
    if (seconds < 60) return "in " + unit(seconds, "second");
    if (seconds < 3600) return two(minutes, "minute", seconds % 60, "second");
    if (seconds < 86400) return two(hours, "hour", minutes % 60, "minute");
    return two(days, "day", hours % 24, "hour");
  }

  setInterval(function () {
    document.querySelectorAll("[data-until]").forEach(function (place) {
      var text = until(Math.floor((Date.parse(place.dataset.until) - Date.now()) / 1000));
      if (place.textContent !== text) place.textContent = text;
    });
  }, 1000);

  // ---- A new poll is in the zone of its host ----
  var form = document.getElementById("poll-form");
  var zone = document.getElementById("time_zone");
  if (form && zone && "new" in form.dataset && zone.value === "UTC") {
    var own = Intl.DateTimeFormat().resolvedOptions().timeZone;
    var known = Array.prototype.some.call(zone.options, function (option) {
      return option.value === own;
    });
    if (known) zone.value = own;
  }

  // ---- Options are added without loading the page again ----
  var rows = document.getElementById("option-rows");
  var add = document.getElementById("add");
  if (rows && add) {
    add.addEventListener("click", function (event) {
      if (rows.children.length >= 63) return;
      event.preventDefault();
      var row = rows.lastElementChild.cloneNode(true);
      var number = rows.children.length;
      row.querySelectorAll("input, textarea").forEach(function (field) {
        field.value = "";
        field.removeAttribute("aria-invalid");
        field.removeAttribute("aria-describedby");
        field.removeAttribute("autofocus");
      });
      row.querySelectorAll(".error").forEach(function (error) {
        error.remove();
      });
      row.querySelectorAll(".nth").forEach(function (nth) {
        nth.textContent = number + 1;
      });
      row.querySelector("details").open = false;
      row.querySelector("label").htmlFor = "label-" + number;
      row.querySelector("[name=label]").id = "label-" + number;
      row.querySelector("[name=about]").id = "about-" + number;
      row.querySelector("[name=about]").setAttribute("aria-label", "Description of option " + (number + 1));
      ["up", "down", "remove"].forEach(function (what) {
        row.querySelector("[value^=" + what + "]").value = what + "-" + number;
      });
      // What was the last row can move down now, and the new one can move up.
      rows.lastElementChild.querySelector("[value^=down]").disabled = false;
      row.querySelector("[value^=up]").disabled = false;
      rows.append(row);
      row.querySelector("[name=label]").focus();
    });
  }
})();

// Solves a challenge of the vote service, beside the page: ALTCHA's proof of work, version 2, with SHA-256. It is sent the
// challenge, and answers with the solution as the header Voter-Proof has it, or with an empty text if it cannot solve it.
// Written without crypto.subtle, which pages without HTTPS do not have.
(function () {
  "use strict";

  // The round constants and the first state of SHA-256 (FIPS 180-4).
  var K = [];
  var FIRST = [];
  (function () {
    function fraction(number) { return (number - Math.floor(number)) * 4294967296 | 0; }
    for (var candidate = 2; K.length < 64; candidate += 1) {
      var prime = true;
      for (var by = 2; by * by <= candidate; by += 1) if (candidate % by === 0) prime = false;
      if (!prime) continue;
      if (FIRST.length < 8) FIRST.push(fraction(Math.pow(candidate, 1 / 2)));
      K.push(fraction(Math.pow(candidate, 1 / 3)));
    }
  })();

  var w = new Int32Array(64);
  var out = new Int32Array(8);

  // The digest of one block, whose words are the first sixteen of `w`.
  function compress() {
    for (var i = 16; i < 64; i += 1) {
      var x = w[i - 15];
      var y = w[i - 2];
      var s0 = (x >>> 7 | x << 25) ^ (x >>> 18 | x << 14) ^ x >>> 3;
      var s1 = (y >>> 17 | y << 15) ^ (y >>> 19 | y << 13) ^ y >>> 10;
      w[i] = w[i - 16] + s0 + w[i - 7] + s1 | 0;
    }
    var a = FIRST[0], b = FIRST[1], c = FIRST[2], d = FIRST[3], e = FIRST[4], f = FIRST[5], g = FIRST[6], h = FIRST[7];
    for (i = 0; i < 64; i += 1) {
      var t1 = h + ((e >>> 6 | e << 26) ^ (e >>> 11 | e << 21) ^ (e >>> 25 | e << 7)) + (e & f ^ ~e & g) + K[i] + w[i] | 0;
      var t2 = ((a >>> 2 | a << 30) ^ (a >>> 13 | a << 19) ^ (a >>> 22 | a << 10)) + (a & b ^ a & c ^ b & c) | 0;
      h = g;
      g = f;
      f = e;
      e = d + t1 | 0;
      d = c;
      c = b;
      b = a;
      a = t1 + t2 | 0;
    }
    out[0] = FIRST[0] + a | 0;
    out[1] = FIRST[1] + b | 0;
    out[2] = FIRST[2] + c | 0;
    out[3] = FIRST[3] + d | 0;
    out[4] = FIRST[4] + e | 0;
    out[5] = FIRST[5] + f | 0;
    out[6] = FIRST[6] + g | 0;
    out[7] = FIRST[7] + h | 0;
  }

  // The words of hexadecimal digits.
  function words(digits) {
    var found = [];
    for (var at = 0; at < digits.length; at += 8) found.push(parseInt(digits.slice(at, at + 8), 16) | 0);
    return found;
  }

  function digits(word) {
    return ("0000000" + (word >>> 0).toString(16)).slice(-8);
  }

  // What is hashed: 16 bytes of salt, 16 bytes of nonce, and the number, with the padding of a text of 36 bytes.
  function solve(challenge) {
    var of = challenge.parameters;
    var wanted = words(of.keyPrefix);
    var fixed = words(of.salt + of.nonce);
    if (of.algorithm !== "SHA-256" || of.cost !== 1 || of.keyLength !== 32 || fixed.length !== 8 || !wanted.length) return "";
    for (var number = 0; number < 4294967295; number += 1) {
      for (var i = 0; i < 8; i += 1) w[i] = fixed[i];
      w[8] = number;
      w[9] = 0x80000000;
      for (i = 10; i < 15; i += 1) w[i] = 0;
      w[15] = 288;
      compress();
      for (i = 0; i < wanted.length; i += 1) if (out[i] !== wanted[i]) break;
      if (i < wanted.length) continue;
      var key = Array.prototype.map.call(out, digits).join("");
      return btoa(JSON.stringify({ challenge: challenge, solution: { counter: number, derivedKey: key } }));
    }
    return "";
  }

  self.onmessage = function (event) {
    self.postMessage(solve(event.data));
  };
})();

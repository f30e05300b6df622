// The lesson: which step is shown, its drawing, and its example on the page. Nothing here asks the server.
//
// A drawing is a function of `draws`, by the key of its step: it fills its place once and returns what paints it again
// when the picture or the chosen patch changes. The picture is cut to a square of SIDE pixels and GRID x GRID patches;
// what is computed from it are toys that a pupil can check, never a trained network.
(() => {
  const SIDE = 256, GRID = 8, CELL = SIDE / GRID, COUNT = GRID * GRID;
  const PATIENCE = 90, BEAT = 400; // how often, and after how many milliseconds, a marked place is looked for
  const LINKED = { layer: "at_layer", head: "at_head", token: "token" }; // what the attention tab reads from the link
  const COLOURS = ["#E69F00", "#0072B2"]; // of two classes: Okabe and Ito's
  const SVG = "http://www.w3.org/2000/svg";
  let root = null, words = {}, now = 0, spot = 3 * GRID + 3, painters = {}, guide = null, watch = null, features = null;
  const picture = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });

  const say = (key, values = {}) => Object.entries(values).reduce((text, [k, v]) => text.replaceAll(`{${k}}`, v), words[key] ?? key);
  const tell = (key, values) => say(`drawing.${key}`, values);
  const percent = (x) => `${Math.round(100 * x)} %`;

  function make(kind, attributes = {}, ...children) {
    const element = kind.startsWith("svg:") ? document.createElementNS(SVG, kind.slice(4)) : document.createElement(kind);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  }

  // -- the picture and what the toys know of it --------------------------------------------------------------------

  async function fetchPicture() {
    const own = document.querySelector("#picture img");
    const shown = own && own.complete && own.naturalWidth ? own : null;
    if (!(shown && take(shown))) {
      const sample = new Image();
      sample.src = root.dataset.sample;
      await sample.decode();
      take(sample);
      root.dataset.whose = "sample";
    } else root.dataset.whose = "own";
    paint();
  }

  function take(image) {
    const context = picture.getContext("2d", { willReadFrequently: true });
    const side = Math.min(image.naturalWidth, image.naturalHeight);
    context.fillStyle = "#fff";
    context.fillRect(0, 0, SIDE, SIDE);
    context.drawImage(image, (image.naturalWidth - side) / 2, (image.naturalHeight - side) / 2, side, side, 0, 0, SIDE, SIDE);
    try {
      features = read(context.getImageData(0, 0, SIDE, SIDE).data);
      return true;
    } catch {
      return false; // a picture of another site may be shown but not read
    }
  }

  // Of each patch: its key (mean colour, counted from the picture's mean, at most 2 long), and its contrast.
  function read(data) {
    const means = Array.from({ length: COUNT }, () => [0, 0, 0]), squares = new Float64Array(COUNT), lights = new Float64Array(COUNT);
    for (let i = 0; i < SIDE * SIDE; i++) {
      const patch = Math.floor(i / SIDE / CELL) * GRID + Math.floor(i % SIDE / CELL);
      let light = 0;
      for (let c = 0; c < 3; c++) {
        means[patch][c] += data[4 * i + c] / CELL / CELL;
        light += data[4 * i + c] / 3;
      }
      lights[patch] += light / CELL / CELL;
      squares[patch] += light * light / CELL / CELL;
    }
    const centre = [0, 1, 2].map((c) => means.reduce((sum, mean) => sum + mean[c], 0) / COUNT);
    const apart = means.map((mean) => mean.map((value, c) => value - centre[c]));
    const longest = Math.max(1, ...apart.map((key) => Math.hypot(...key)));
    const keys = apart.map((key) => key.map((value) => Math.round(200 * value / longest) / 100));
    const contrast = [...squares].map((square, p) => Math.sqrt(Math.max(0, square - lights[p] ** 2)));
    return { keys, contrast, heads: heads(keys, contrast) };
  }

  const score = (q, k) => Math.round(100 * (q[0] * k[0] + q[1] * k[1] + q[2] * k[2]) / Math.sqrt(3)) / 100;

  function softmax(scores) {
    const powers = scores.map(Math.exp), sum = powers.reduce((a, b) => a + b, 0);
    return powers.map((power) => power / sum);
  }

  // The toy heads as tables: how much each patch (row) takes from each other (column).
  function heads(keys, contrast) {
    const most = Math.max(1e-6, ...contrast);
    const rows = (of) => keys.map((_, q) => softmax(keys.map((_, k) => of(q, k))));
    const distance = (q, k) => (Math.floor(q / GRID) - Math.floor(k / GRID)) ** 2 + (q % GRID - k % GRID) ** 2;
    const three = {
      colour: rows((q, k) => score(keys[q], keys[k])),
      near: rows((q, k) => -distance(q, k) / 2),
      contrast: rows((q, k) => 4 * contrast[k] / most),
    };
    const each = Object.values(three);
    return { ...three, mean: keys.map((_, q) => keys.map((_, k) => each.reduce((sum, table) => sum + table[q][k], 0) / each.length)) };
  }

  // -- pieces of drawings ------------------------------------------------------------------------------------------

  const surface = (side, more = {}) => make("canvas", { width: side, height: side, ...more });

  // A picture in which a patch is chosen, by pointing, touching or walking.
  function board() {
    const choose = (event) => {
      const box = event.target.getBoundingClientRect();
      const at = (from, size) => Math.min(GRID - 1, Math.max(0, Math.floor(from / size * GRID)));
      move(at(event.clientY - box.top, box.height) * GRID + at(event.clientX - box.left, box.width));
    };
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -GRID, ArrowDown: GRID };
    return surface(SIDE, { class: "board", tabindex: 0, role: "application", "aria-label": tell("about"), onpointermove: choose, onclick: choose,
      onkeydown: (event) => {
        if (!(event.key in steps)) return;
        event.preventDefault();
        const next = spot + steps[event.key], sideways = Math.abs(steps[event.key]) === 1;
        if (next >= 0 && next < COUNT && (!sideways || Math.floor(next / GRID) === Math.floor(spot / GRID))) move(next);
      } });
  }

  function move(patch) {
    if (patch === spot) return;
    spot = patch;
    paint();
  }

  // The picture, darkened but where a patch has a share; the chosen patch framed.
  function shade(canvas, shares = null, frame = true) {
    const context = canvas.getContext("2d"), side = canvas.width, cell = side / GRID;
    context.drawImage(picture, 0, 0, side, side);
    if (shares) {
      context.fillStyle = "rgb(0 0 0 / 78%)";
      context.fillRect(0, 0, side, side);
      const end = Math.max(...shares.filter((_, k) => k !== spot), 1e-9);
      shares.forEach((share, k) => {
        context.globalAlpha = Math.min(1, share / end);
        const x = k % GRID, y = Math.floor(k / GRID);
        context.drawImage(picture, x * CELL, y * CELL, CELL, CELL, x * cell, y * cell, cell, cell);
      });
      context.globalAlpha = 1;
    }
    if (frame) outline(context, spot % GRID * cell, Math.floor(spot / GRID) * cell, cell);
  }

  function outline(context, x, y, side) {
    for (const [colour, width] of [["#000", 5], ["#fff", 2]]) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.strokeRect(x, y, side, side);
    }
  }

  function crop(patch, side = 28) {
    const canvas = surface(side, { "aria-hidden": "true" });
    canvas.getContext("2d").drawImage(picture, patch % GRID * CELL, Math.floor(patch / GRID) * CELL, CELL, CELL, 0, 0, side, side);
    return canvas;
  }

  function slider(key, min, max, step, value, change) {
    const input = make("input", { type: "range", min, max, step, value, oninput: () => change(+input.value) });
    return [make("label", { class: "slide" }, make("span", {}, tell(key)), input), () => +input.value];
  }

  const said = () => make("p", { class: "said", "aria-live": "polite" });
  const titled = (key, canvas) => make("figure", {}, canvas, make("figcaption", {}, tell(key)));
  const table = (heads, ...rows) => make("table", {}, make("thead", {}, make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)))),
    make("tbody", {}, ...rows));
  const line = (first, ...cells) => make("tr", {}, make("th", { scope: "row" }, ...[first].flat()), ...cells.map((text) => make("td", {}, text)));
  const number = (x) => x.toFixed(2).replace("-", "−");
  const list = (values) => `(${values.map(number).join(", ")})`;

  // Four patches to compute with: the chosen one, the best and the worst match, and one between.
  function four() {
    const q = features.keys[spot];
    const others = [...Array(COUNT).keys()].filter((k) => k !== spot).sort((a, b) => score(q, features.keys[b]) - score(q, features.keys[a]));
    return [spot, others[0], others[Math.floor(COUNT / 4)], others.at(-1)].map((k) => ({ patch: k, key: features.keys[k], score: score(q, features.keys[k]) }));
  }
  const place = (patch) => [crop(patch), ` ${Math.floor(patch / GRID) + 1} | ${patch % GRID + 1}`];

  // -- the drawings, by step ---------------------------------------------------------------------------------------

  const draws = {
    picture(stage) {
      const canvas = board(), grid = make("table", { class: "pixels" });
      stage.append(canvas, make("div", {}, grid, make("p", { class: "said" }, tell("pixels"))));
      const SMALL = 64; // pixels along the shrunk picture
      return () => {
        const shrunk = surface(SMALL).getContext("2d"), step = SMALL / GRID;
        shrunk.drawImage(picture, 0, 0, SMALL, SMALL);
        const x = spot % GRID * step + 1, y = Math.floor(spot / GRID) * step + 1;
        const { data } = shrunk.getImageData(x, y, 5, 5);
        shade(canvas, null, false);
        outline(canvas.getContext("2d"), x * SIDE / SMALL, y * SIDE / SMALL, 5 * SIDE / SMALL);
        grid.replaceChildren(...[...Array(5).keys()].map((r) => make("tr", {}, ...[...Array(5).keys()].map((c) => {
          const [red, green, blue] = data.subarray(4 * (5 * r + c));
          const dark = 0.299 * red + 0.587 * green + 0.114 * blue < 128;
          return make("td", { style: `background:rgb(${red} ${green} ${blue});color:${dark ? "#fff" : "#000"}` },
            ...[red, green, blue].flatMap((value) => [String(value), make("br")]).slice(0, -1));
        }))));
      };
    },

    patches(stage) {
      const canvas = surface(SIDE + 48, { role: "img", "aria-label": tell("patches") }), out = said();
      const [label, value] = slider("patches", 2, 16, 1, GRID, () => render());
      stage.append(canvas, make("div", {}, label, out));
      function render() {
        const context = canvas.getContext("2d"), n = value(), gap = 3, all = canvas.width, cell = SIDE / n, side = (all - gap * (n - 1)) / n;
        context.clearRect(0, 0, all, all);
        for (let i = 0; i < n * n; i++) {
          const x = i % n, y = Math.floor(i / n);
          context.drawImage(picture, x * cell, y * cell, cell, cell, x * (side + gap), y * (side + gap), side, side);
        }
        out.textContent = tell("count", { n, patches: n * n, pairs: (n ** 4).toLocaleString("en") });
      }
      return render;
    },

    tokens(stage) {
      const row = make("div", { class: "tokens", "aria-hidden": "true" });
      let order = [...Array(COUNT).keys()];
      const buttons = [["shuffle", () => { order = order.map((k) => [Math.random(), k]).sort((a, b) => a[0] - b[0]).map(([, k]) => k); }],
        ["order", () => order.sort((a, b) => a - b)]];
      stage.append(row, make("p", {}, ...buttons.flatMap(([key, change]) => [make("button", { type: "button", onclick: () => { change(); render(); } }, tell(key)), " "])));
      function render() {
        row.replaceChildren(make("span", { class: "class" }, tell("class")),
          ...order.map((k) => make("span", {}, crop(k, 28), make("small", {}, String(k + 1)))));
      }
      return render;
    },

    qkv(stage) {
      const canvas = board(), query = said(), sums = make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": tell("score") });
      stage.append(canvas, make("div", {}, query, sums));
      return () => {
        shade(canvas);
        query.textContent = `${tell("query")}: ${list(features.keys[spot])}`;
        sums.replaceChildren(table([tell("token"), tell("key"), tell("score")], ...four().map((one) => line(place(one.patch), list(one.key), number(one.score)))));
      };
    },

    head(stage) {
      const canvas = board(), sums = make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "softmax" });
      stage.append(canvas, sums);
      return () => {
        shade(canvas, features.heads.colour[spot]);
        const each = four().map((one) => ({ ...one, power: Math.exp(one.score) })), sum = each.reduce((total, one) => total + one.power, 0);
        const last = line(tell("sum"), "", number(sum), number(1));
        last.className = "sum";
        sums.replaceChildren(table([tell("token"), tell("score"), tell("power"), tell("share")],
          ...each.map((one) => line(place(one.patch), number(one.score), number(one.power), number(one.power / sum))), last));
      };
    },

    heads(stage) {
      const canvas = board(), small = Object.fromEntries(["colour", "near", "contrast", "mean"].map((key) => [key, surface(SIDE / 2, { role: "img", "aria-label": tell(key) })]));
      stage.append(canvas, make("div", { class: "four" }, ...Object.entries(small).map(([key, each]) => titled(key, each))));
      return () => {
        shade(canvas);
        for (const [key, each] of Object.entries(small)) shade(each, features.heads[key][spot]);
      };
    },

    layers(stage) {
      const text = (x, y, content, kind = "") => make("svg:text", { x, y, class: kind }, content);
      const way = (d) => make("svg:path", { d, class: "way" });
      const head = (x, y, angle) => make("svg:path", { d: "M-5 -8 L0 0 L5 -8", class: "way", transform: `translate(${x} ${y}) rotate(${angle})` });
      const plus = (y) => make("svg:g", {}, make("svg:circle", { cx: 60, cy: y, r: 11, class: "plus" }), way(`M54 ${y} h12 M60 ${y - 6} v12`));
      const part = (y, name, does) => make("svg:g", {}, way(`M60 ${y} H128`), head(128, y, -90), make("svg:rect", { x: 130, y: y - 8, width: 200, height: 60, rx: 6, class: "box" }),
        text(230, y + 16, tell(name), "strong middle"), text(230, y + 38, tell(does), "middle"), way(`M130 ${y + 44} H73`), head(73, y + 44, 90), plus(y + 44));
      stage.append(make("svg:svg", { viewBox: "0 0 340 300", class: "chart way-of-token", role: "img", "aria-label": `${tell("in")}, ${tell("attention")}, ${tell("network")}, ${tell("out")}` },
        text(60, 18, tell("in"), "strong middle"), way("M60 26 V268"), head(60, 268, 0), part(60, "attention", "fetch"), part(170, "network", "thinks"),
        text(14, 290, tell("out"), "strong"), text(340, 18, tell("residual"), "end")));
      return () => {};
    },

    rollout(stage) {
      const canvas = board(), out = said();
      const [label, value] = slider("layers", 0, 6, 1, 1, () => render());
      stage.append(canvas, make("div", {}, label, out));
      function render() {
        let row = [...Array(COUNT).keys()].map((k) => +(k === spot));
        for (let l = 0; l < value(); l++) {
          const from = row;
          row = from.map((share, k) => 0.5 * share + 0.5 * from.reduce((sum, other, q) => sum + other * features.heads.mean[q][k], 0));
        }
        shade(canvas, row);
        out.textContent = tell("after", { layers: value() });
      }
      return render;
    },

    proof(stage) {
      const rows = make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": tell("effect") }), out = said();
      const [label, value] = slider("share_of", 50, 99, 1, 80, () => render());
      stage.append(make("div", {}, label, rows, out));
      function render() {
        const values = { A: 0.2, B: 3 }, shares = { A: value() / 100, B: 1 - value() / 100 }, effects = { A: shares.A * values.A, B: shares.B * values.B };
        const bar = (share) => [make("span", { class: "amount", style: `--share:${share}` })];
        rows.replaceChildren(table([tell("token"), tell("share"), "v", tell("effect")], ...["A", "B"].map((key) => {
          const each = line(key, percent(shares[key]), values[key].toFixed(1), number(effects[key]));
          each.children[1].prepend(...bar(shares[key]));
          each.children[3].prepend(...bar(Math.min(1, effects[key] / 1.5)));
          return each;
        })));
        out.textContent = tell(effects.A > effects.B ? "a_more" : "b_more", { share: percent(shares.B) });
      }
      return render;
    },

    gradients(stage) {
      const canvas = surface(SIDE, { role: "img", "aria-label": tell("strength") }), out = said(), STEEP = 14, MIDDLE = 0.4, PARTS = 100;
      const chance = (x) => 1 / (1 + Math.exp(-STEEP * (x - MIDDLE))), slope = (x) => STEEP * chance(x) * (1 - chance(x));
      const across = (x) => 40 + 260 * x, up = (p) => 180 - 160 * p;
      const curve = [...Array(PARTS + 1).keys()].map((i) => `${across(i / PARTS)} ${up(chance(i / PARTS))}`).join(" L");
      const dot = make("svg:circle", { r: 6, class: "here" }), tangent = make("svg:path", { class: "tangent" });
      const chart = make("svg:svg", { viewBox: "0 0 320 216", class: "chart", role: "img", "aria-label": tell("probability") },
        make("svg:path", { d: "M40 10 V180 H310", class: "axis" }), make("svg:path", { d: `M${curve}`, class: "curve" }), tangent, dot,
        make("svg:text", { x: 34, y: 184, class: "end" }, "0"), make("svg:text", { x: 34, y: 26, class: "end" }, "1"),
        make("svg:text", { x: 46, y: 18 }, tell("probability")), make("svg:text", { x: 310, y: 204, class: "end" }, tell("strength")));
      const [label, value] = slider("fade", 0, 100, 1, 40, () => render());
      stage.append(canvas, make("div", {}, chart, label, out));
      function render() {
        const x = value() / 100, context = canvas.getContext("2d"), parts = Math.max(1, value());
        context.fillStyle = "#000";
        context.fillRect(0, 0, SIDE, SIDE);
        context.globalAlpha = x;
        context.drawImage(picture, 0, 0);
        context.globalAlpha = 1;
        const sum = [...Array(parts).keys()].reduce((total, i) => total + slope((i + 0.5) * x / parts) * x / parts, 0);
        dot.setAttribute("cx", across(x));
        dot.setAttribute("cy", up(chance(x)));
        const reach = 40 / Math.hypot(260, 160 * slope(x));
        tangent.setAttribute("d", [-1, 1].map((sign, i) => `${i ? "L" : "M"}${across(x + sign * reach)} ${up(chance(x) + sign * reach * slope(x))}`).join(" "));
        out.textContent = tell("slope", { slope: number(slope(x)), p: number(chance(x)), sum: number(sum) });
      }
      return render;
    },

    fusion(stage) {
      const rows = make("div", { class: "votes" }), out = said(), chances = { A: 0.8, B: 0.35, C: 0.15 };
      const [label, value] = slider("weight", 0, 3, 0.1, 1, () => render());
      stage.append(make("div", {}, rows, label, out));
      function render() {
        const weights = { A: 1, B: 1, C: value() }, total = weights.A + weights.B + weights.C;
        const fused = Object.keys(chances).reduce((sum, key) => sum + weights[key] * chances[key] / total, 0);
        const bar = (name, chance) => make("div", { class: "vote" }, make("b", {}, name), make("span", { class: "bar", style: `--share:${chance};--a:${COLOURS[0]};--b:${COLOURS[1]}` }),
          make("span", {}, `${tell("rose")} ${percent(chance)}, ${tell("tulip")} ${percent(1 - chance)}`));
        rows.replaceChildren(...Object.entries(chances).map(([key, chance]) => bar(`${key} · ${percent(weights[key] / total)}`, chance)), bar(tell("fused"), fused));
        out.textContent = tell("answers", { name: tell(fused >= 0.5 ? "rose" : "tulip") });
      }
      return render;
    },

    robustness(stage) {
      const small = Object.fromEntries(["picture", "changes", "both"].map((key) => [key, surface(SIDE / 2, { role: "img", "aria-label": tell(key) })])), out = said();
      const [label, value] = slider("epsilon", 0, 32, 1, 8, () => render());
      stage.append(make("div", {}, make("div", { class: "three" }, ...Object.entries(small).map(([key, each]) => titled(key, each))), label, out));
      const side = SIDE / 2, signs = Int8Array.from({ length: 3 * side * side }, () => (Math.random() < 0.5 ? -1 : 1)), MAGNIFIED = 4;
      function render() {
        const context = small.picture.getContext("2d", { willReadFrequently: true });
        context.drawImage(picture, 0, 0, side, side);
        const { data } = context.getImageData(0, 0, side, side), changes = new ImageData(side, side), both = new ImageData(side, side);
        for (let i = 0, s = 0; i < data.length; i++) {
          const change = i % 4 === 3 ? 0 : signs[s++] * value();
          changes.data[i] = i % 4 === 3 ? 255 : 128 + MAGNIFIED * change;
          both.data[i] = i % 4 === 3 ? 255 : data[i] + change;
        }
        small.changes.getContext("2d").putImageData(changes, 0, 0);
        small.both.getContext("2d").putImageData(both, 0, 0);
        out.textContent = tell("epsilon_is", { epsilon: value() });
      }
      return render;
    },
  };

  // -- turning the pages -------------------------------------------------------------------------------------------

  const sections = () => [...root.querySelectorAll(".step")];

  function paint() {
    if (!features) return;
    const section = sections()[now], { key } = section.dataset;
    painters[key] ??= draws[key](section.querySelector(".stage"));
    painters[key]();
    section.querySelector(".whose").textContent = section.querySelector(".stage canvas") ? `(${say(root.dataset.whose)})` : "";
  }

  function link(changes) {
    const changed = new URLSearchParams(location.search);
    for (const [key, value] of Object.entries(changes)) changed.set(key, value);
    history.replaceState(null, "", `${location.pathname}?${changed.toString().replaceAll("%2C", ",")}`);
  }

  function turn(index, byHand = true) {
    const every = sections();
    now = Math.min(every.length - 1, Math.max(0, index));
    every.forEach((section, i) => { section.hidden = i !== now; });
    root.querySelectorAll("[data-jump]").forEach((button, i) => (i === now ? button.setAttribute("aria-current", "step") : button.removeAttribute("aria-current")));
    root.querySelector(".turning progress").value = now + 1;
    for (const button of root.querySelectorAll("[data-turn]")) button.disabled = !every[now + +button.dataset.turn];
    paint();
    if (!byHand) return;
    link({ step: now + 1 });
    const title = every[now].querySelector("h2");
    title.focus({ preventScroll: true });
    if (root.getBoundingClientRect().top < 0) root.scrollIntoView();
  }

  function begin() {
    root = document.querySelector("#learn .learn");
    if (!root) return requestAnimationFrame(begin);
    words = JSON.parse(root.dataset.words);
    painters = {};
    root.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button?.dataset.jump) turn(+button.dataset.jump);
      else if (button?.dataset.turn) turn(now + +button.dataset.turn);
      else if (button?.dataset.show) example(sections()[now]);
    });
    turn((parseInt(new URLSearchParams(location.search).get("step"), 10) || 1) - 1, false);
    root.classList.add("on");
    fetchPicture();
    const frame = document.querySelector("#picture"); // another picture there is another picture here
    frame?.addEventListener("load", fetchPicture, true);
    if (frame) new MutationObserver(() => { if (!frame.querySelector("img") && root.dataset.whose === "own") fetchPicture(); }).observe(frame, { childList: true, subtree: true });
  }

  // -- the example on the page -------------------------------------------------------------------------------------

  function openTab(name) {
    const unseen = [...document.querySelectorAll("#tabs .overflow-dropdown button")]; // of tabs that have no room: only their names are there
    const button = document.querySelector(`#tab-${name}-button`) ?? unseen.find((one) => one.textContent.trim() === say(`tab.${name}`));
    button?.click();
  }

  const calm = matchMedia("(prefers-reduced-motion: reduce)");

  function set(settings) {
    const linked = Object.entries(settings).filter(([key]) => key in LINKED).map(([key, value]) => [LINKED[key], value]);
    if (linked.length) {
      link(Object.fromEntries(linked)); // read when the attention view is made
      if (document.querySelector("#attention-view canvas")) {
        const { layer, head, token } = settings;
        window.vitdemo.attention.set({ at: null, layer: layer - 1, head: /^\d+$/.test(head) ? head - 1 : head, pins: token.split(",").map((one) => one - 1) });
      }
    }
    const wanted = (settings.explanations ?? "").split(",").filter(Boolean);
    const missing = wanted.map((name) => document.querySelector(`#methods input[name="${name}"]`)).filter((box) => box && !box.checked);
    missing.forEach((box) => box.click());
    if (missing.length) setTimeout(() => document.querySelector("#analyse").click(), BEAT); // when the page knows of the ticks
  }

  function example(section) {
    const { tab, mark } = section.dataset;
    leave();
    set(JSON.parse(section.dataset.settings));
    openTab(tab);
    const state = make("p", { class: "state" });
    const back = make("button", { type: "button", onclick: () => { leave(); openTab("learn"); sections()[now].querySelector(".show").focus(); } }, say("back"));
    const about = make("div", { "aria-live": "polite" });
    guide = make("div", { class: "guide", role: "region", "aria-label": say("look") }, about,
      make("p", { class: "ways" }, back, " ", make("button", { type: "button", onclick: leave }, say("close"))));
    document.querySelector(".gradio-container .contain").append(guide);
    back.focus({ preventScroll: true });
    // into a live region that is there already, so that it is read out
    setTimeout(() => about.append(make("p", {}, make("b", {}, `${section.querySelector(".progress").textContent}: `), section.querySelector(".look span").textContent), state), 50);
    let beats = 0, found = null;
    const look = () => {
      const target = [...document.querySelectorAll(mark)].find((one) => one.getClientRects().length) ?? null;
      if (target && target !== found) {
        document.querySelectorAll("[data-lesson-mark]").forEach((one) => one.removeAttribute("data-lesson-mark"));
        target.setAttribute("data-lesson-mark", "");
        if (!found) target.scrollIntoView({ block: "center", behavior: calm.matches ? "auto" : "smooth" });
        found = target;
      }
      const text = found ? "" : say(beats < PATIENCE ? "waiting" : "absent");
      if (beats > 2 && state.textContent !== text) state.textContent = text;
      beats += 1;
    };
    look();
    watch = setInterval(look, BEAT);
  }

  function leave() {
    clearInterval(watch);
    guide?.remove();
    guide = null;
    document.querySelectorAll("[data-lesson-mark]").forEach((one) => one.removeAttribute("data-lesson-mark"));
  }

  Object.assign(window.vitdemo, { learn: { begin, leave, step: () => now + 1, marked: () => document.querySelector("[data-lesson-mark]") } });
})();

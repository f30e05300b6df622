// The attention view: everything below happens in the browser, from one document for each backbone (microscope.pack).
//
// Letters: l layer, h head, q the token that looks, k the token that is looked at; all counted from 0 here and from 1 on
// the page. A weight is byte / 255 · most[l][h]. `view` is what the person chose; `panels` are the documents side by side.
(() => {
  const COLOURS = ["#E69F00", "#56B4E9", "#009E73"]; // of pinned tokens: Okabe and Ito's, apart from one another for everyone
  const STEP = 700; // milliseconds that the film shows a layer
  const quiet = matchMedia("(prefers-reduced-motion: reduce)");
  const view = { layer: 0, head: "mean", pins: [], at: null, scale: "map", frame: null, isolated: false };
  let panels = [], texts = {}, colours = [], timer = null, kept = null, root = null, asked = new Set(), question = "";

  // -- reading a document ---------------------------------------------------------------------------------------

  async function inflate(text) {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream).arrayBuffer();
  }

  async function unpack(doc) {
    const heads = doc.heads_sent ? doc.heads : 1;
    const one = { ...doc, sent: heads, weights: new Uint8Array(await inflate(doc.attention)), layersHere: {} };
    if (doc.arithmetic) one.terms = await unpackTerms(doc.arithmetic);
    one.seen = new Image();
    one.seen.src = doc.picture;
    await one.seen.decode();
    return one;
  }

  async function unpackTerms(packed) {
    const [strongest, scores, logsum, values] = await Promise.all(
      ["strongest", "scores", "logsum", "values"].map((name) => inflate(packed[name])));
    return { count: packed.count, strongest: new Uint16Array(strongest), scores: new Float32Array(scores),
      logsum: new Float32Array(logsum), values: new Float32Array(values) };
  }

  // The weights of one head, as [bytes, where they begin, weight of the byte 255]; null if that layer is not here yet.
  function head(doc, l, h) {
    const size = doc.tokens * doc.tokens;
    if (doc.heads_sent) return [doc.weights, (l * doc.heads + h) * size, doc.most[l][h]];
    const here = doc.layersHere[l];
    return here ? [here.weights, h * size, here.most[h]] : null;
  }

  // How much token q takes from every token: Float32Array of N.
  function row(doc, l, h, q) {
    const n = doc.tokens, out = new Float32Array(n);
    if (h === "mean" && !doc.heads_sent) {
      const start = (l * n + q) * n;
      for (let k = 0; k < n; k++) out[k] = doc.weights[start + k] / 255 * doc.most[l][0];
      return out;
    }
    const heads = typeof h === "number" ? [h] : [...Array(doc.heads).keys()];
    const each = heads.map((i) => head(doc, l, i));
    if (each.includes(null)) { ask(doc, l); return row(doc, l, "mean", q); }
    out.fill(h === "min" ? Infinity : 0);
    for (const [bytes, start, most] of each) {
      for (let k = 0; k < n; k++) {
        const weight = bytes[start + q * n + k] / 255 * most;
        if (h === "max") out[k] = Math.max(out[k], weight);
        else if (h === "min") out[k] = Math.min(out[k], weight);
        else out[k] += weight / heads.length;
      }
    }
    return out;
  }

  const readout = (doc) => (doc.readout.length <= doc.prefix.length && doc.readout.length ? doc.readout[0] : doc.prefix.length);
  const token = (doc) => Math.min(view.at ?? view.pins.at(-1) ?? readout(doc), doc.tokens - 1);
  const layer = (doc) => Math.min(view.layer, doc.layers - 1);
  const chosenHead = (doc) => (typeof view.head === "number" ? Math.min(view.head, doc.heads - 1) : view.head);
  const patches = (doc, weights) => weights.subarray(doc.prefix.length);
  const highest = (values) => values.reduce((a, b) => Math.max(a, b), 0);

  function top(doc, l, h, q) { // the end of the colour scale
    if (view.scale === "map") return highest(patches(doc, row(doc, l, h, q)));
    const layers = view.scale === "layer" ? [l] : [...Array(doc.layers).keys()];
    return Math.max(...layers.flatMap((i) => [...Array(doc.sent).keys()].map((j) =>
      highest(patches(doc, row(doc, i, doc.heads_sent ? j : "mean", q))))));
  }

  function named(doc, k) {
    if (k < doc.prefix.length) return say("token", { name: say(`prefix.${doc.prefix[k].split(" ")[0]}`) + doc.prefix[k].replace(/^\D+/, " ").trimEnd() });
    const p = k - doc.prefix.length;
    return say("patch", { row: Math.floor(p / doc.grid[1]) + 1, column: p % doc.grid[1] + 1 });
  }

  const say = (key, values = {}) => Object.entries(values).reduce((text, [k, v]) => text.replaceAll(`{${k}}`, v), texts[key] ?? key);
  const percent = (x) => (x < 0.001 ? "< 0.1 %" : `${(100 * x).toFixed(x < 0.0995 ? 1 : 0)} %`);

  // -- larger models: the heads of a layer come when they are first wanted -----------------------------------------

  function ask(doc, l) {
    const key = `${doc.name} ${l}`;
    if (asked.has(key)) return;
    asked.add(key);
    question = JSON.stringify({ backbone: doc.name, layer: l, doc: doc.id });
    document.querySelector("#attention-press").click();
  }

  async function more(text) {
    if (!text) return;
    const sent = JSON.parse(text), doc = panels.find((one) => one.id === sent.doc);
    if (!doc) return;
    doc.layersHere[sent.layer] = { weights: new Uint8Array(await inflate(sent.attention)), most: sent.most,
      terms: await unpackTerms(sent.arithmetic) };
    draw();
  }

  // -- the page ---------------------------------------------------------------------------------------------------

  const make = (kind, attributes = {}, ...children) => {
    const element = document.createElement(kind);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };
  const group = (label, ...children) => make("div", { class: "pick", role: "group", "aria-label": label }, make("span", { class: "legend" }, label), ...children);
  const choice = (text, on, press, more = {}) => make("button", { type: "button", "aria-pressed": String(on), onclick: press, ...more }, text);

  const part = (key, content) => make("section", { class: "part" }, make("h3", {}, say(key)), make("p", { class: "reading" }, say(`${key}.reading`)), content);

  async function show(text) {
    stop();
    root = document.querySelector("#attention-view .att") ?? document.querySelector("#attention-view");
    if (!root) return;
    if (!text) { panels = []; root.replaceChildren(); return; }
    const sent = JSON.parse(text);
    ({ texts, colours } = sent);
    asked = new Set();
    const docs = await Promise.all(sent.views.map(unpack));
    panels = kept && sent.views.length === 1 ? [kept, ...docs] : docs;
    const link = new URLSearchParams(location.search), doc = docs[0];
    if (doc) {
      const wanted = (name, size) => (/^\d+$/.test(link.get(name) ?? "") && +link.get(name) >= 1 && +link.get(name) <= size ? +link.get(name) - 1 : null);
      view.layer = wanted("at_layer", doc.layers) ?? Math.min(view.layer, doc.layers - 1);
      if (["mean", "max", "min"].includes(link.get("at_head"))) view.head = link.get("at_head");
      else view.head = wanted("at_head", doc.heads) ?? (typeof view.head === "number" ? Math.min(view.head, doc.heads - 1) : view.head);
      const linked = (link.get("token") ?? "").split(",").map((t) => +t - 1).filter((t) => Number.isInteger(t) && t >= 0 && t < doc.tokens);
      view.pins = linked.length ? linked.slice(0, COLOURS.length) : view.pins.filter((t) => t < doc.tokens);
    }
    view.at = null;
    view.frame = null;
    build();
  }

  function build() {
    if (!panels.length) return root.replaceChildren();
    const doc = panels.at(-1);
    const layers = make("input", { type: "range", min: 1, max: doc.layers, step: 1, value: layer(doc) + 1, "aria-label": say("layer"), id: "att-layer",
      oninput: (event) => set({ layer: +event.target.value - 1 }) });
    const heads = ["mean", "max", "min", ...Array(doc.heads).keys()].map((h) =>
      choice(typeof h === "number" ? String(h + 1) : say(h), h === view.head, () => set({ head: h }), { "data-head": h }));
    const scales = ["map", "layer", "global"].map((name) => choice(say(`scale.${name}`), name === view.scale, () => set({ scale: name }), { "data-scale": name }));
    const buttons = [
      choice(say("unpin"), false, () => set({ pins: [] }), { class: "plain", id: "att-unpin" }),
      choice(say(kept ? "release" : "keep"), Boolean(kept), keep, { class: "plain", id: "att-keep", title: say("keep.info") }),
    ];
    root.replaceChildren(
      make("p", { class: "reading" }, say("how")),
      make("div", { class: "att-controls" },
        group(say("layer"), layers, make("output", { id: "att-layer-is", for: "att-layer" })),
        group(say("head"), ...heads), group(say("scale"), ...scales), make("div", { class: "pick" }, ...buttons)),
      make("div", { class: `att-body ${panels.length === 1 ? "one" : "two"}` },
        make("div", {},
          make("div", { class: "att-panels" }, ...panels.map(panel)),
          make("div", { class: "att-legend" }, make("canvas", { class: "bar", width: 256, height: 1, "aria-hidden": "true" }),
            make("span", { class: "low" }, "0"), make("span", { class: "high" }), make("span", { class: "reading" }, say("legend")))),
        part("overview", make("div", { class: "att-overviews" }, ...panels.map(overview)))),
      part("arithmetic", make("div", { class: "scroll att-arithmetic", tabindex: 0, role: "region", "aria-label": say("arithmetic") })),
      part("film", film()),
      make("p", { class: "sr", "aria-live": "polite", id: "att-said" }));
    const bar = root.querySelector(".bar").getContext("2d");
    colours.forEach((colour, i) => { bar.fillStyle = colour; bar.fillRect(i * 256 / colours.length, 0, 256 / colours.length + 1, 1); });
    draw();
  }

  function panel(doc, index) {
    const side = 448, [rows, columns] = doc.grid;
    const canvas = make("canvas", { width: side, height: Math.round(side * doc.seen.height / doc.seen.width), tabindex: 0, role: "application",
      "aria-label": say("canvas", { name: doc.name }), "aria-describedby": "att-said",
      onpointermove: (event) => set({ at: under(event, doc) }), onpointerleave: () => set({ at: null }),
      onclick: (event) => pin(under(event, doc)), onkeydown: (event) => walk(event, doc), onblur: () => set({ at: null }) });
    const chips = doc.prefix.map((_, k) => make("button", { type: "button", class: "chip", "data-token": k, onclick: () => pin(k),
      onpointerenter: () => set({ at: k }), onpointerleave: () => set({ at: null }), onfocus: () => set({ at: k }), onblur: () => set({ at: null }) },
      make("span", {}, named(doc, k)), make("i", { class: "received" })));
    return make("figure", { class: "att-panel", "data-panel": index }, make("figcaption", {}, make("b", {}, doc.caption), " ", make("small", {}, say("size", { layers: doc.layers, heads: doc.heads, patches: rows * columns }))),
      make("div", { class: "att-stage" }, canvas, make("div", { class: "att-chips" }, ...chips)), make("p", { class: "att-caption" }));
  }

  function under(event, doc) {
    const box = event.target.getBoundingClientRect(), [rows, columns] = doc.grid;
    const r = Math.min(rows - 1, Math.max(0, Math.floor((event.clientY - box.top) / box.height * rows)));
    const c = Math.min(columns - 1, Math.max(0, Math.floor((event.clientX - box.left) / box.width * columns)));
    return doc.prefix.length + r * columns + c;
  }

  function walk(event, doc) {
    const [rows, columns] = doc.grid, first = doc.prefix.length, now = token(doc) - first;
    const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
    if (event.key in moves) {
      const next = now < 0 ? 0 : now + moves[event.key], across = Math.abs(moves[event.key]) === 1;
      const stays = next >= 0 && next < rows * columns && (now < 0 || !across || Math.floor(next / columns) === Math.floor(now / columns));
      if (stays) set({ at: first + next });
    } else if (event.key === "Home") set({ at: readout(doc) });
    else if (event.key === "Enter" || event.key === " ") pin(token(doc));
    else if (event.key === "Escape") set({ pins: [], at: null });
    else return;
    event.preventDefault();
    root.querySelector("#att-said").textContent = caption(doc, token(doc));
  }

  function pin(k) {
    const there = view.pins.includes(k);
    set({ pins: there ? view.pins.filter((one) => one !== k) : [...view.pins, k].slice(-COLOURS.length) });
  }

  function keep() {
    kept = kept ? null : { ...panels.at(-1), caption: say("kept", { name: panels.at(-1).caption }) };
    panels = kept ? [kept, panels.at(-1)] : panels.slice(-1);
    build();
  }

  function caption(doc, q) {
    const weights = row(doc, layer(doc), chosenHead(doc), q), seen = patches(doc, weights);
    const k = seen.indexOf(highest(seen));
    const prefix = weights.subarray(0, doc.prefix.length).reduce((a, b) => a + b, 0);
    return say(doc.prefix.length ? "says" : "says.patches", { token: named(doc, q), patch: named(doc, k + doc.prefix.length), share: percent(seen[k]), rest: percent(prefix) });
  }

  function overview(doc, index) {
    const cells = [];
    for (let l = 0; l < doc.layers; l++) {
      cells.push(make("span", { class: "row-name" }, say("layer.short", { layer: l + 1 })));
      for (let h = 0; h < doc.sent; h++) {
        const where = doc.heads_sent ? { layer: l, head: h } : { layer: l, head: "mean" };
        cells.push(make("button", { type: "button", class: "thumb", "data-layer": l, "data-head": where.head, "aria-label": say("thumb", { layer: l + 1, head: doc.heads_sent ? h + 1 : say("mean") }),
          onclick: () => set({ ...where }), ondblclick: () => set({ ...where, isolated: !view.isolated }),
          onkeydown: (event) => { if (event.key === "Escape") set({ isolated: false }); if (event.key === "i") set({ ...where, isolated: !view.isolated }); } },
          make("canvas", { width: doc.grid[1], height: doc.grid[0] })));
      }
    }
    return make("div", { class: "att-overview", "data-panel": index, style: `--heads:${doc.sent}` }, ...cells);
  }

  function film() {
    const doc = panels.at(-1);
    const play = choice(say("play"), false, () => (timer ? stop() : start()), { class: "plain", id: "att-play" });
    const scrub = make("input", { type: "range", min: 1, max: doc.layers, value: doc.layers, "aria-label": say("film.layer"), id: "att-frame",
      oninput: (event) => { stop(); set({ frame: +event.target.value - 1 }); } });
    const frames = panels.map((one, i) => make("figure", { class: "att-frame", "data-panel": i }, make("canvas", { width: 224, height: Math.round(224 * one.seen.height / one.seen.width), role: "img", "aria-label": say("film") }), make("figcaption", {}, one.caption)));
    const tables = panels.map((one, i) => make("div", { class: "scroll att-depth", "data-panel": i, tabindex: 0, role: "region", "aria-label": say("depth") },
      make("table", {}, make("caption", {}, say("depth.reading")), make("thead", {}, make("tr", {}, ...["layer", "first", "second", "third"].map((key) => make("th", { scope: "col" }, say(key))))),
        make("tbody", {}, ...one.depth.map((p, l) => make("tr", { "data-layer": l }, make("th", { scope: "row" }, String(l + 1)),
          ...[...p.keys()].sort((a, b) => p[b] - p[a]).slice(0, 3).map((k) => make("td", {}, make("span", { class: "share", style: `--share:${p[k]}` }), `${one.labels[k].split(",")[0]} ${percent(p[k])}`))))))));
    return make("div", { class: "att-film" }, make("div", { class: "pick" }, play, scrub, make("output", { id: "att-frame-is", for: "att-frame" })), make("div", { class: "att-frames" }, ...frames.map((frame, i) => make("div", { class: "att-pair" }, frame, tables[i]))));
  }

  function start() {
    const layers = panels.at(-1).layers;
    if (quiet.matches) return set({ frame: layers - 1 }); // nothing moves by itself for those who asked for that
    set({ frame: 0 });
    timer = setInterval(() => (view.frame >= layers - 1 ? stop() : set({ frame: view.frame + 1 })), STEP);
    root.querySelector("#att-play").textContent = say("pause");
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    const button = root?.querySelector("#att-play");
    if (button) button.textContent = say("play");
  }

  // -- drawing ----------------------------------------------------------------------------------------------------

  let waiting = false;
  function set(changes) {
    Object.assign(view, changes);
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(); if (["layer", "head", "pins"].some((key) => key in changes)) link(); });
  }

  function link() {
    const changed = new URLSearchParams(location.search);
    changed.set("at_layer", view.layer + 1);
    changed.set("at_head", typeof view.head === "number" ? view.head + 1 : view.head);
    view.pins.length ? changed.set("token", view.pins.map((k) => k + 1).join(",")) : changed.delete("token");
    history.replaceState(null, "", `${location.pathname}?${changed.toString().replaceAll("%2C", ",")}`);
  }

  function draw() {
    if (!root || !panels.length) return;
    const last = panels.at(-1);
    root.querySelector("#att-layer").value = layer(last) + 1;
    root.querySelector("#att-layer-is").textContent = `${layer(last) + 1} / ${last.layers}`;
    for (const button of root.querySelectorAll("button[data-scale]")) button.setAttribute("aria-pressed", String(button.dataset.scale === view.scale));
    for (const button of root.querySelectorAll(".pick button[data-head]")) button.setAttribute("aria-pressed", String(button.dataset.head === String(view.head)));
    root.querySelector(".high").textContent = percent(top(last, layer(last), chosenHead(last), token(last)));
    root.querySelectorAll(".att-panel").forEach((figure, i) => drawPanel(figure, panels[i]));
    root.querySelectorAll(".att-overview").forEach((grid, i) => drawOverview(grid, panels[i]));
    drawArithmetic(root.querySelector(".att-arithmetic"), last);
    drawFilm();
  }

  function cell(context, doc, k, fill) {
    const [rows, columns] = doc.grid, { width, height } = context.canvas, p = k - doc.prefix.length;
    const x = Math.round(p % columns * width / columns), y = Math.round(Math.floor(p / columns) * height / rows);
    fill(x, y, Math.round((p % columns + 1) * width / columns) - x, Math.round((Math.floor(p / columns) + 1) * height / rows) - y);
  }

  function drawPanel(figure, doc) {
    const context = figure.querySelector("canvas").getContext("2d"), { width, height } = context.canvas;
    const l = layer(doc), h = chosenHead(doc), first = doc.prefix.length;
    const several = view.at === null && view.pins.length > 1;
    const looking = several ? view.pins : [token(doc)];
    context.globalAlpha = 1;
    context.drawImage(doc.seen, 0, 0, width, height);
    context.fillStyle = "rgb(0 0 0 / 62%)";
    context.fillRect(0, 0, width, height);
    looking.forEach((q, i) => {
      const weights = row(doc, l, h, q), end = top(doc, l, h, q) || 1;
      for (let k = first; k < doc.tokens; k++) {
        const share = Math.min(1, weights[k] / end);
        if (share < 1 / 255) continue;
        cell(context, doc, k, (x, y, w, t) => {
          context.globalAlpha = several ? share * 0.75 : 0.12 + 0.88 * share;
          if (several) { context.fillStyle = COLOURS[i % COLOURS.length]; context.fillRect(x, y, w, t); return; }
          context.drawImage(doc.seen, x * doc.seen.width / width, y * doc.seen.height / height, w * doc.seen.width / width, t * doc.seen.height / height, x, y, w, t);
          context.globalAlpha = 0.45 * share;
          context.fillStyle = colours[Math.round(share * (colours.length - 1))];
          context.fillRect(x, y, w, t);
        });
      }
    });
    context.globalAlpha = 0.25;
    context.strokeStyle = "#fff";
    context.lineWidth = 1;
    for (let k = first; k < doc.tokens; k++) cell(context, doc, k, (x, y, w, t) => context.strokeRect(x + 0.5, y + 0.5, w, t));
    context.globalAlpha = 1;
    for (const [k, colour, line] of [...view.pins.map((k, i) => [k, COLOURS[i % COLOURS.length], 4]), ...(view.pins.includes(token(doc)) ? [] : [[token(doc), "#fff", 3]])]) {
      if (k < first || k >= doc.tokens) continue;
      cell(context, doc, k, (x, y, w, t) => {
        context.lineWidth = line + 2; context.strokeStyle = "#000"; context.strokeRect(x + 2, y + 2, w - 4, t - 4);
        context.lineWidth = line; context.strokeStyle = colour; context.strokeRect(x + 2, y + 2, w - 4, t - 4);
      });
    }
    const weights = row(doc, l, h, looking[0]);
    figure.querySelectorAll(".chip").forEach((chip, k) => {
      const pinned = view.pins.indexOf(k);
      chip.setAttribute("aria-pressed", String(pinned >= 0));
      chip.classList.toggle("at", token(doc) === k);
      chip.style.setProperty("--colour", pinned >= 0 ? COLOURS[pinned % COLOURS.length] : "transparent");
      chip.style.setProperty("--share", Math.min(1, weights[k]));
      chip.title = say("received", { share: percent(weights[k]) });
    });
    const lines = looking.map((q, i) => [caption(doc, q), several ? COLOURS[i % COLOURS.length] : null]);
    figure.querySelector(".att-caption").replaceChildren(...lines.map(([text, colour]) => make("span", colour ? { class: "pinned", style: `--colour:${colour}` } : {}, text)));
  }

  function paint(canvas, values, end) { // a map of weights, one pixel a patch
    const context = canvas.getContext("2d"), image = context.createImageData(canvas.width, canvas.height);
    values.forEach((value, i) => {
      const colour = parseInt(colours[Math.round(Math.min(1, value / (end || 1)) * (colours.length - 1))].slice(1), 16);
      image.data.set([colour >> 16, colour >> 8 & 255, colour & 255, 255], 4 * i);
    });
    context.putImageData(image, 0, 0);
  }

  function drawOverview(grid, doc) {
    const q = token(doc);
    grid.classList.toggle("isolated", view.isolated);
    const ends = {};
    grid.querySelectorAll(".thumb").forEach((button) => {
      const l = +button.dataset.layer, h = doc.heads_sent ? +button.dataset.head : "mean";
      const key = view.scale === "map" ? null : view.scale === "layer" ? l : "all";
      const values = patches(doc, row(doc, l, h, q));
      const end = key === null ? highest(values) : ends[key] ??= top(doc, l, h, q);
      paint(button.firstChild, values, end);
      const chosen = l === layer(doc) && (h === chosenHead(doc) || typeof chosenHead(doc) === "string");
      button.setAttribute("aria-pressed", String(chosen));
      button.classList.toggle("alone", l === layer(doc) && h === chosenHead(doc));
    });
  }

  function drawArithmetic(place, doc) {
    const l = layer(doc), h = chosenHead(doc), q = token(doc);
    const terms = doc.terms ?? doc.layersHere[l]?.terms;
    if (typeof h !== "number" || !terms) {
      if (typeof h === "number") ask(doc, l);
      return place.replaceChildren(make("p", { class: "empty" }, say(typeof h === "number" ? "arithmetic.coming" : "arithmetic.head")));
    }
    const at = (doc.terms ? (l * doc.heads + h) : h) * doc.tokens + q, base = at - q;
    const lines = [...Array(terms.count).keys()].map((i) => {
      const k = terms.strongest[at * terms.count + i], score = terms.scores[at * terms.count + i];
      const weight = Math.exp(score - terms.logsum[at]), length = terms.values[base + k];
      return [k, score, weight, length];
    });
    const rest = 1 - lines.reduce((sum, [, , weight]) => sum + weight, 0);
    const number = (x) => x.toFixed(3);
    const body = lines.map(([k, score, weight, length]) => make("tr", {}, make("th", { scope: "row" }, crop(doc, k), " ", named(doc, k)),
      ...[number(score), number(weight), number(length), number(weight * length)].map((text) => make("td", {}, text))));
    body.push(make("tr", { class: "rest" }, make("th", { scope: "row" }, say("others")), make("td", {}, "…"), make("td", {}, number(Math.max(0, rest))), make("td", {}), make("td", {})),
      make("tr", { class: "sum" }, make("th", { scope: "row" }, say("sum")), make("td", {}), make("td", {}, "1.000"), make("td", {}), make("td", {})));
    const heads = ["column.patch", "column.score", "column.weight", "column.value", "column.product"];
    place.replaceChildren(make("p", { class: "finding" }, say("arithmetic.of", { token: named(doc, q), layer: l + 1, head: h + 1, name: doc.name })),
      make("table", {}, make("thead", {}, make("tr", {}, ...heads.map((key) => make("th", { scope: "col", title: say(`${key}.info`) }, say(key))))), make("tbody", {}, ...body)));
  }

  function crop(doc, k) {
    const canvas = make("canvas", { width: 24, height: 24, "aria-hidden": "true" }), [rows, columns] = doc.grid, p = k - doc.prefix.length;
    const w = doc.seen.width / columns, t = doc.seen.height / rows;
    canvas.getContext("2d").drawImage(doc.seen, p % columns * w, Math.floor(p / columns) * t, w, t, 0, 0, 24, 24);
    return canvas;
  }

  function drawFilm() {
    const last = panels.at(-1), frame = view.frame ?? last.layers - 1;
    root.querySelector("#att-frame").value = Math.min(frame, last.layers - 1) + 1;
    root.querySelector("#att-frame-is").textContent = say("film.is", { layer: Math.min(frame, last.layers - 1) + 1, layers: last.layers });
    root.querySelectorAll(".att-frame").forEach((figure, i) => {
      const doc = panels[i], values = doc.film[Math.min(frame, doc.layers - 1)], end = highest(values) || 1;
      const context = figure.querySelector("canvas").getContext("2d"), { width, height } = context.canvas;
      context.globalAlpha = 1;
      context.drawImage(doc.seen, 0, 0, width, height);
      context.globalAlpha = 0.62;
      values.forEach((value, p) => cell(context, doc, p + doc.prefix.length, (x, y, w, t) => {
        context.fillStyle = colours[Math.round(value / end * (colours.length - 1))];
        context.fillRect(x, y, w, t);
      }));
    });
    root.querySelectorAll(".att-depth").forEach((table, i) => table.querySelectorAll("tbody tr").forEach((line) =>
      line.classList.toggle("chosen", +line.dataset.layer === Math.min(frame, panels[i].layers - 1))));
  }

  Object.assign(window.vitdemo, { attention: { show, more, wanted: () => question, set, view: () => structuredClone(view) } });
})();

// The attention view: everything below happens in the browser, from one document for each backbone (microscope.pack).
//
// Letters: l layer, h head, q the token that looks, k the token that is looked at; all counted from 0 here and from 1 on
// the page. Each layer numbers its tokens: those beside the picture first, then its patches row by row. A place is where
// a person points, in every layer of every backbone: { k } for a token beside the picture, or { x, y }, shares of the
// picture. `view` is what the person chose; `panels` are the documents side by side.
(() => {
  const COLOURS = ["#E69F00", "#56B4E9", "#009E73"]; // of pinned tokens: Okabe and Ito's, apart from one another for everyone
  const STEP = 700; // milliseconds that the film shows a layer
  const NONE = 65535; // in index maps: padding, where a window sticks out over the edge
  const quiet = matchMedia("(prefers-reduced-motion: reduce)");
  const view = { layer: 0, head: "mean", pins: [], at: null, scale: "map", frame: null, isolated: false, panel: null };
  let panels = [], texts = {}, colours = [], first = "", timer = null, kept = null, root = null, linked = null, documents = 0;
  let asked = new Set(), failed = new Set(), queue = [], question = "", questions = 0;

  // -- reading a document ---------------------------------------------------------------------------------------

  async function inflate(text) {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream).arrayBuffer();
  }

  async function unpack(sent) {
    const doc = { ...sent, id: ++documents, weights: new Uint8Array(await inflate(sent.attention)), layersHere: {} };
    doc.steps = await Promise.all(sent.steps.map(unpackStep));
    let start = 0;
    doc.layers = sent.layers.map((layer) => {
      const one = { ...layer, step: doc.steps[layer.step], start };
      start += (doc.sent === "heads" ? one.heads : 1) * one.step.windows * one.step.queries * one.step.keys;
      return one;
    });
    doc.several = new Set(doc.layers.map(({ step }) => grid(step.seen).join())).size > 1; // grids
    if (sent.arithmetic) (await unpackTerms(sent.arithmetic, doc.layers)).forEach((terms, l) => { doc.layers[l].terms = terms; });
    doc.seen = new Image();
    doc.seen.src = sent.picture;
    await doc.seen.decode();
    return doc;
  }

  async function unpackStep(step) { // `asks` are the tokens that ask, `keep` those that are seen, `where` the place of each that asks
    const range = (count) => Uint16Array.from({ length: count }, (_, i) => i);
    const read = async (name, count) => (step.maps ? new Uint16Array(await inflate(step.maps[name])) : range(count));
    const [asks, held] = await Promise.all([read("queries", step.outputs), read("keys", step.inputs)]);
    const where = new Int32Array(step.outputs).fill(-1);
    asks.forEach((q, place) => { if (q !== NONE) where[q] = place; });
    return { ...step, held, where };
  }

  async function unpackTerms(packed, layers) { // for each layer its part of the arrays
    const names = ["strongest", "scores", "logsum", "values"];
    const [strongest, scores, logsum, values] = (await Promise.all(names.map((name) => inflate(packed[name]))))
      .map((bytes, i) => (i ? new Float32Array(bytes) : new Uint16Array(bytes)));
    let rows = 0, listed = 0, lengths = 0;
    return layers.map(({ heads, step, strongest: count, valued }) => {
      const more = heads * step.windows * step.queries, long = valued ? heads * step.windows * step.keys : 0;
      const part = { count, strongest: strongest.subarray(listed, listed + more * count), scores: scores.subarray(listed, listed + more * count),
        logsum: logsum.subarray(rows, rows + more), values: valued ? values.subarray(lengths, lengths + long) : null };
      rows += more; listed += more * count; lengths += long;
      return part;
    });
  }

  const grid = (plane) => plane.slice(1); // [rows, columns]

  // Where the shares of a head begin that the token at `place` gives, as [bytes, start, share of the byte 255].
  function head(doc, l, h, place) {
    const { step, start } = doc.layers[l], here = doc.layersHere[l], from = (h * step.windows * step.queries + place) * step.keys;
    return doc.sent === "heads" ? [doc.weights, start + from, doc.most[l][h]] : [here.weights, from, here.most[h]];
  }

  const complete = (doc, l) => doc.sent === "heads" || Boolean(doc.layersHere[l]);

  // How much token q takes from every token before the layer: Float32Array, 0 outside its window. Heads that are not here
  // yet are stood in for by their mean, and by nothing where that is not here either.
  function row(doc, l, h, q) {
    const { step, heads, start } = doc.layers[l], out = new Float32Array(step.inputs), place = q < 0 ? -1 : step.where[q];
    if (place < 0) return out;
    const count = step.keys, first = Math.floor(place / step.queries) * count;
    let parts;
    if (doc.sent === "means" && (h === "mean" || !complete(doc, l))) parts = [[doc.weights, start + place * count, doc.most[l][0]]];
    else if (complete(doc, l)) parts = (typeof h === "number" ? [h] : [...Array(heads).keys()]).map((i) => head(doc, l, i, place));
    else return out;
    for (let j = 0; j < count; j++) {
      const k = step.held[first + j];
      if (k === NONE) continue;
      const each = parts.map(([bytes, from, most]) => bytes[from + j] / 255 * most);
      out[k] = h === "max" ? Math.max(...each) : h === "min" ? Math.min(...each) : each.reduce((a, b) => a + b) / each.length;
    }
    return out;
  }

  // -- places: one pointer for all layers and backbones -----------------------------------------------------------

  const within = (share, count) => Math.min(count - 1, Math.max(0, Math.floor(share * count + 1e-6)));

  function cellAt(doc, [rows, columns], place) { // the patch of a grid that lies there
    const [left, top, right, bottom] = doc.view;
    return within((place.y - top) / (bottom - top), rows) * columns + within((place.x - left) / (right - left), columns);
  }

  function centre(doc, [rows, columns], cell) { // where a patch of a grid lies
    const [left, top, right, bottom] = doc.view;
    return { x: left + (cell % columns + 0.5) / columns * (right - left), y: top + (Math.floor(cell / columns) + 0.5) / rows * (bottom - top) };
  }

  // Tokens as links count them: those beside the picture, then the patches of the finest grid.
  const tokenAt = (doc, place) => ("k" in place ? place.k : doc.prefix.length + cellAt(doc, doc.grid, place));
  const placeOf = (doc, token) => (token < doc.prefix.length ? { k: token } : centre(doc, doc.grid, token - doc.prefix.length));

  // What the answer is read from, or the middle of the picture where that is no single token.
  function readout(doc) {
    if (doc.prefix.length && doc.readout.length <= doc.prefix.length) return { k: doc.readout[0] };
    return placeOf(doc, doc.prefix.length + cellAt(doc, doc.grid, { x: (doc.view[0] + doc.view[2]) / 2, y: (doc.view[1] + doc.view[3]) / 2 }));
  }

  const there = (doc, place) => !("k" in place) || place.k < doc.prefix.length;
  const pinned = (doc) => view.pins.filter((place) => there(doc, place));
  const current = (doc) => [view.at, view.pins.at(-1)].find((place) => place && there(doc, place)) ?? readout(doc);
  const layer = (doc) => Math.min(view.layer, doc.layers.length - 1);
  const chosenHead = (doc, l = layer(doc)) => (typeof view.head === "number" ? Math.min(view.head, doc.layers[l].heads - 1) : view.head);
  const asking = (doc, l) => (doc.layers[l].step.asked ? grid(doc.layers[l].step.asked) : doc.grid); // the grid that is pointed at
  const main = () => (panels[0] === kept ? panels[1] : panels[0]); // of the backbone that is chosen first
  const active = () => panels[view.panel] ?? main();

  function query(doc, l, place) { // the number of the token there, in that layer; -1 where none asks
    const { asked: plane, where, outputs } = doc.layers[l].step;
    const q = "k" in place ? place.k : plane ? plane[0] + cellAt(doc, grid(plane), place) : -1;
    return q >= 0 && q < outputs && where[q] >= 0 ? q : -1;
  }

  const same = (doc, one, other) => ("k" in one || "k" in other ? one.k === other.k : cellAt(doc, asking(doc, layer(doc)), one) === cellAt(doc, asking(doc, layer(doc)), other));

  function patches(doc, l, weights) {
    const [first, rows, columns] = doc.layers[l].step.seen;
    return weights.subarray(first, first + rows * columns);
  }

  const highest = (values) => values.reduce((a, b) => Math.max(a, b), 0);

  function top(doc, l, h, place) { // the end of the colour scale
    const most = (i, j) => highest(patches(doc, i, row(doc, i, j, query(doc, i, place))));
    if (view.scale === "map") return most(l, h);
    const layers = view.scale === "layer" ? [l] : [...doc.layers.keys()];
    return Math.max(...layers.flatMap((i) => (doc.sent === "heads" ? [...Array(doc.layers[i].heads).keys()] : ["mean"]).map((j) => most(i, j))));
  }

  const prefixName = (doc, k) => say("token", { name: say(`prefix.${doc.prefix[k].split(" ")[0]}`) + doc.prefix[k].replace(/^\D+/, " ").trimEnd() });

  const patchName = (doc, [rows, columns], cell) =>
    say(doc.several ? "patch.of" : "patch", { row: Math.floor(cell / columns) + 1, column: cell % columns + 1, rows, columns });

  const named = (doc, l, place) => ("k" in place ? prefixName(doc, place.k) : patchName(doc, asking(doc, l), cellAt(doc, asking(doc, l), place)));

  const say = (key, values = {}) => Object.entries(values).reduce((text, [k, v]) => text.replaceAll(`{${k}}`, v), texts[key] ?? key);
  const began = (text) => text[0].toUpperCase() + text.slice(1); // of a sentence
  const percent = (x) => (x < 0.001 ? "< 0.1 %" : `${(100 * x).toFixed(x < 0.0995 ? 1 : 0)} %`);

  // -- larger models: the heads of a layer come when they are first wanted -----------------------------------------

  function ask(doc, l) {
    const key = `${doc.id} ${l}`;
    if (asked.has(key) || doc.old) return;
    asked.add(key);
    queue.push({ backbone: doc.name, layer: l, doc: doc.id, number: ++questions }); // numbered, as only a new text is sent
    if (!question) next();
  }

  function next() { // one at a time: the page has one place for a question
    question = queue.length ? JSON.stringify(queue.shift()) : "";
    if (question) document.querySelector("#attention-press").click();
  }

  async function more(text) {
    if (!text) return;
    const sent = JSON.parse(text), doc = panels.find((one) => one.id === sent.doc), key = `${sent.doc} ${sent.layer}`;
    if (doc && sent.attention) {
      const [terms] = await unpackTerms(sent.arithmetic, [doc.layers[sent.layer]]);
      doc.layersHere[sent.layer] = { weights: new Uint8Array(await inflate(sent.attention)), most: sent.most, terms };
      failed.delete(key);
    } else {
      asked.delete(key);
      failed.add(key);
    }
    next();
    draw(false);
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
    ({ texts, colours, first } = sent);
    [asked, failed, queue, question] = [new Set(), new Set(), [], ""];
    const docs = await Promise.all(sent.views.map(unpack));
    if (kept) kept.old = true; // of another picture: the page could no longer say more of it
    panels = kept && sent.views.length === 1 ? [kept, ...docs] : docs;
    const params = new URLSearchParams(location.search), doc = docs[0];
    if (doc) {
      const wanted = (name, size) => (/^\d+$/.test(params.get(name) ?? "") && +params.get(name) >= 1 && +params.get(name) <= size ? +params.get(name) - 1 : null);
      if (["layer", "global"].includes(params.get("at_scale"))) view.scale = params.get("at_scale");
      view.layer = wanted("at_layer", doc.layers.length) ?? Math.min(view.layer, doc.layers.length - 1);
      if (["mean", "max", "min"].includes(params.get("at_head"))) view.head = params.get("at_head");
      else view.head = wanted("at_head", mostHeads([doc])) ?? (typeof view.head === "number" ? Math.min(view.head, mostHeads([doc]) - 1) : view.head);
      if (params.get("token") !== linked) { // a new link; one that this view wrote itself says of another backbone less than the pins do
        const tokens = (params.get("token") ?? "").split(",").map((t) => +t - 1).filter((t) => Number.isInteger(t) && t >= 0 && t < doc.tokens);
        if (tokens.length) view.pins = tokens.slice(0, COLOURS.length).map((t) => placeOf(doc, t));
      }
    }
    view.at = null;
    view.frame = null;
    view.panel = null;
    build();
    if (view.pins.length || doc?.name !== first || docs.length > 1) link();
  }

  const mostHeads = (docs) => Math.max(...docs.flatMap((doc) => doc.layers.map(({ heads }) => heads)));
  const longest = () => Math.max(...panels.map((doc) => doc.layers.length));
  const span = (counts) => (Math.min(...counts) === Math.max(...counts) ? `${counts[0]}` : `${Math.min(...counts)}–${Math.max(...counts)}`);

  function build() {
    if (!panels.length) return root.replaceChildren();
    const layers = make("input", { type: "range", min: 1, max: longest(), step: 1, value: view.layer + 1, "aria-label": say("layer"), id: "att-layer",
      oninput: (event) => set({ layer: +event.target.value - 1 }) });
    const heads = ["mean", "max", "min", ...Array(mostHeads(panels)).keys()].map((h) =>
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
    const side = 448;
    const canvas = make("canvas", { width: side, height: Math.round(side * doc.seen.height / doc.seen.width), tabindex: 0, role: "application",
      "aria-label": say("canvas", { name: doc.name }), "aria-describedby": "att-said",
      onpointermove: (event) => point(under(event, doc), index), onpointerleave: () => set({ at: null }),
      onclick: (event) => pin(under(event, doc), index), onkeydown: (event) => walk(event, doc, index), onblur: () => set({ at: null }) });
    const chips = doc.prefix.map((_, k) => make("button", { type: "button", class: "chip", "data-token": k, onclick: () => pin({ k }, index),
      onpointerenter: () => point({ k }, index), onpointerleave: () => set({ at: null }), onfocus: () => point({ k }, index), onblur: () => set({ at: null }) },
      make("span", {}, prefixName(doc, k)), make("i", { class: "received" })));
    const heads = span(doc.layers.map((one) => one.heads)), patches = span(doc.layers.map((one) => one.step.seen[1] * one.step.seen[2]));
    return make("figure", { class: "att-panel", "data-panel": index }, make("figcaption", {}, make("b", {}, doc.caption), " ", make("small", {}, say("size", { layers: doc.layers.length, heads, patches }))),
      make("div", { class: "att-stage" }, canvas, make("div", { class: "att-chips" }, ...chips)), make("p", { class: "att-caption" }));
  }

  function under(event, doc) { // the patch of the finest grid
    const box = event.target.getBoundingClientRect(), [rows, columns] = doc.grid;
    const cell = within((event.clientY - box.top) / box.height, rows) * columns + within((event.clientX - box.left) / box.width, columns);
    return centre(doc, doc.grid, cell);
  }

  function point(place, panel) {
    if (panel !== view.panel || JSON.stringify(place) !== JSON.stringify(view.at)) set({ at: place, panel });
  }

  function walk(event, doc, panel) { // patch by patch of the layer's own grid
    const around = asking(doc, layer(doc)), [rows, columns] = around, place = current(doc);
    const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    if (event.key in moves) {
      if ("k" in place) set({ at: centre(doc, around, 0), panel });
      else {
        const cell = cellAt(doc, around, place), r = Math.floor(cell / columns) + moves[event.key][0], c = cell % columns + moves[event.key][1];
        if (r >= 0 && r < rows && c >= 0 && c < columns) set({ at: centre(doc, around, r * columns + c), panel });
      }
    } else if (event.key === "Home") set({ at: readout(doc), panel });
    else if (event.key === "Enter" || event.key === " ") pin(current(doc), panel);
    else if (event.key === "Escape") set({ pins: [], at: null });
    else return;
    event.preventDefault();
    root.querySelector("#att-said").textContent = caption(doc, current(doc));
  }

  function pin(place, panel) {
    const doc = panels[panel], others = view.pins.filter((one) => !same(doc, one, place));
    const exact = placeOf(doc, tokenAt(doc, place)); // as a link can say it
    set({ pins: others.length < view.pins.length ? others : [...view.pins, exact].slice(-COLOURS.length), panel });
  }

  function keep() {
    const doc = main();
    kept = kept ? null : { ...doc, caption: say("kept", { name: doc.caption }) };
    panels = kept ? [kept, doc] : [doc];
    view.panel = null;
    build();
  }

  function caption(doc, place) {
    const l = layer(doc), { step } = doc.layers[l], q = query(doc, l, place), token = began(named(doc, l, place));
    if (q < 0) return say("says.nothing", { token });
    const weights = row(doc, l, chosenHead(doc), q), seen = patches(doc, l, weights), k = seen.indexOf(highest(seen));
    const prefix = weights.subarray(0, step.seen[0]).reduce((a, b) => a + b, 0);
    return say(step.seen[0] ? "says" : "says.patches", { token, patch: patchName(doc, grid(step.seen), k), share: percent(seen[k]), rest: percent(prefix) });
  }

  function overview(doc, index) {
    const cells = [], shown = doc.sent === "heads";
    doc.layers.forEach(({ heads, step }, l) => {
      cells.push(make("span", { class: "row-name" }, say("layer.short", { layer: l + 1 })));
      for (let h = 0; h < (shown ? heads : 1); h++) {
        const where = { layer: l, head: shown ? h : "mean" };
        cells.push(make("button", { type: "button", class: "thumb", "data-layer": l, "data-head": where.head, "aria-label": say("thumb", { layer: l + 1, head: shown ? h + 1 : say("mean") }),
          onclick: () => set({ ...where, panel: index }), ondblclick: () => set({ ...where, isolated: !view.isolated }),
          onkeydown: (event) => { if (event.key === "Escape") set({ isolated: false }); if (event.key === "i") set({ ...where, isolated: !view.isolated }); } },
          make("canvas", { width: step.seen[2], height: step.seen[1] })));
      }
    });
    return make("div", { class: "att-overview", "data-panel": index, style: `--heads:${shown ? mostHeads([doc]) : 1}` }, ...cells);
  }

  function film() {
    const play = choice(say("play"), false, () => (timer ? stop() : start()), { class: "plain", id: "att-play" });
    const scrub = make("input", { type: "range", min: 1, max: longest(), value: longest(), "aria-label": say("film.layer"), id: "att-frame",
      oninput: (event) => { stop(); set({ frame: +event.target.value - 1 }); } });
    const frames = panels.map((one, i) => make("figure", { class: "att-frame", "data-panel": i }, make("canvas", { width: 224, height: Math.round(224 * one.seen.height / one.seen.width), role: "img", "aria-label": say("film") }), make("figcaption", {}, one.caption, one.note ? make("small", {}, say("film.note", { note: one.note })) : null)));
    const tables = panels.map((one, i) => (one.depth ? make("div", { class: "scroll att-depth", "data-panel": i, tabindex: 0, role: "region", "aria-label": say("depth") },
      make("table", {}, make("caption", {}, say("depth.reading")), make("thead", {}, make("tr", {}, ...["layer", "first", "second", "third"].map((key) => make("th", { scope: "col" }, say(key))))),
        make("tbody", {}, ...one.depth.map((p, l) => make("tr", { "data-layer": l }, make("th", { scope: "row" }, String(l + 1)),
          ...[...p.keys()].sort((a, b) => p[b] - p[a]).slice(0, 3).map((k) => make("td", {}, make("span", { class: "share", style: `--share:${p[k]}` }), `${one.labels[k]} ${percent(p[k])}`))))))) : make("p", { class: "empty att-depth" }, say("depth.none"))));
    return make("div", { class: "att-film" }, make("div", { class: "pick" }, play, scrub, make("output", { id: "att-frame-is", for: "att-frame" })), make("div", { class: "att-frames" }, ...frames.map((frame, i) => make("div", { class: "att-pair" }, frame, tables[i]))));
  }

  function start() {
    const layers = longest();
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

  let waiting = false, links = false;
  function set(changes) {
    Object.assign(view, changes);
    links ||= ["layer", "head", "pins", "scale"].some((key) => key in changes);
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(); if (links) link(); links = false; });
  }

  function link() {
    const changed = new URLSearchParams(location.search);
    changed.set("at_layer", view.layer + 1);
    changed.set("at_head", typeof view.head === "number" ? view.head + 1 : view.head);
    linked = pinned(main()).map((place) => tokenAt(main(), place) + 1).join(",") || null;
    const second = panels.filter((one) => one !== kept)[1]?.name;
    const said = { token: linked, at: main().name === first ? null : main().name, beside: second, at_scale: view.scale === "map" ? null : view.scale };
    for (const [name, value] of Object.entries(said)) value ? changed.set(name, value) : changed.delete(name);
    history.replaceState(null, "", `${location.pathname}?${changed.toString().replaceAll("%2C", ",")}`);
  }

  function draw(asks = true) {
    if (!root || !panels.length) return;
    const doc = active(), l = layer(doc), most = Math.max(...panels.map((one) => one.layers[layer(one)].heads));
    if (asks) panels.filter((one) => !complete(one, layer(one)) && (view.head !== "mean" || one.sent === "nothing")).forEach((one) => ask(one, layer(one)));
    root.querySelector("#att-layer").value = view.layer + 1;
    root.querySelector("#att-layer-is").textContent = panels.map((one) => `${layer(one) + 1} / ${one.layers.length}`).join(" · ");
    for (const button of root.querySelectorAll("button[data-scale]")) button.setAttribute("aria-pressed", String(button.dataset.scale === view.scale));
    for (const button of root.querySelectorAll(".pick button[data-head]")) {
      button.setAttribute("aria-pressed", String(button.dataset.head === String(chosenHead(doc))));
      button.disabled = +button.dataset.head >= most; // this layer has fewer
    }
    root.querySelector(".high").textContent = percent(top(doc, l, chosenHead(doc), current(doc)));
    root.querySelectorAll(".att-panel").forEach((figure, i) => drawPanel(figure, panels[i]));
    root.querySelectorAll(".att-overview").forEach((place, i) => drawOverview(place, panels[i]));
    drawArithmetic(root.querySelector(".att-arithmetic"), doc);
    drawFilm();
  }

  function cell(context, [rows, columns], p, fill) {
    const { width, height } = context.canvas;
    const x = Math.round(p % columns * width / columns), y = Math.round(Math.floor(p / columns) * height / rows);
    fill(x, y, Math.round((p % columns + 1) * width / columns) - x, Math.round((Math.floor(p / columns) + 1) * height / rows) - y);
  }

  function drawPanel(figure, doc) {
    const context = figure.querySelector("canvas").getContext("2d"), { width, height } = context.canvas;
    const l = layer(doc), h = chosenHead(doc), { step } = doc.layers[l], cells = grid(step.seen);
    const pins = pinned(doc), several = view.at === null && pins.length > 1;
    const looking = several ? pins : [current(doc)];
    context.globalAlpha = 1;
    context.drawImage(doc.seen, 0, 0, width, height);
    context.fillStyle = "rgb(0 0 0 / 62%)";
    context.fillRect(0, 0, width, height);
    looking.forEach((place, i) => {
      const weights = patches(doc, l, row(doc, l, h, query(doc, l, place))), end = top(doc, l, h, place) || 1;
      weights.forEach((weight, p) => {
        const share = Math.min(1, weight / end);
        if (share < 1 / 255) return;
        cell(context, cells, p, (x, y, w, t) => {
          context.globalAlpha = several ? share * 0.75 : 0.12 + 0.88 * share;
          if (several) { context.fillStyle = COLOURS[view.pins.indexOf(place)]; context.fillRect(x, y, w, t); return; }
          context.drawImage(doc.seen, x * doc.seen.width / width, y * doc.seen.height / height, w * doc.seen.width / width, t * doc.seen.height / height, x, y, w, t);
          context.globalAlpha = 0.45 * share;
          context.fillStyle = colours[Math.round(share * (colours.length - 1))];
          context.fillRect(x, y, w, t);
        });
      });
    });
    const windows = step.windows > 1 ? looking.map((place) => new Set(windowOf(doc, l, query(doc, l, place)))) : [];
    context.strokeStyle = "#fff";
    context.lineWidth = 1;
    for (let p = 0; p < cells[0] * cells[1]; p++) {
      context.globalAlpha = windows.some((each) => each.has(p + step.seen[0])) ? 0.7 : 0.25 * Math.min(1, 16 / cells[1]); // finer grids, fainter lines
      cell(context, cells, p, (x, y, w, t) => context.strokeRect(x + 0.5, y + 0.5, w, t));
    }
    context.globalAlpha = 1;
    const free = !pins.some((place) => same(doc, place, current(doc)));
    for (const [place, colour, line] of [...pins.map((place) => [place, COLOURS[view.pins.indexOf(place)], 4]), ...(free ? [[current(doc), "#fff", 3]] : [])]) {
      if ("k" in place) continue;
      cell(context, asking(doc, l), cellAt(doc, asking(doc, l), place), (x, y, w, t) => {
        context.lineWidth = line + 2; context.strokeStyle = "#000"; context.strokeRect(x + 2, y + 2, w - 4, t - 4);
        context.lineWidth = line; context.strokeStyle = colour; context.strokeRect(x + 2, y + 2, w - 4, t - 4);
      });
    }
    const weights = row(doc, l, h, query(doc, l, looking[0]));
    figure.querySelectorAll(".chip").forEach((chip, k) => {
      const number = view.pins.findIndex((place) => place.k === k);
      chip.setAttribute("aria-pressed", String(number >= 0));
      chip.classList.toggle("at", current(doc).k === k);
      chip.style.setProperty("--colour", number >= 0 ? COLOURS[number] : "transparent");
      chip.style.setProperty("--share", Math.min(1, weights[k]));
      chip.title = say("received", { share: percent(weights[k]) });
    });
    const lines = looking.map((place) => [caption(doc, place), several ? COLOURS[view.pins.indexOf(place)] : null]);
    if (step.windows > 1) lines.push([say("says.window", { count: step.keys }), null]);
    figure.querySelector(".att-caption").replaceChildren(...lines.map(([text, colour]) => make("span", colour ? { class: "pinned", style: `--colour:${colour}` } : {}, text)));
  }

  function windowOf(doc, l, q) { // the tokens that a token can look at
    const { step } = doc.layers[l], first = q < 0 ? -1 : Math.floor(step.where[q] / step.queries) * step.keys;
    return first < 0 ? [] : step.held.subarray(first, first + step.keys);
  }

  function paint(canvas, values, end) { // a map of weights, one pixel a patch
    const context = canvas.getContext("2d"), image = context.createImageData(canvas.width, canvas.height);
    values.forEach((value, i) => {
      const colour = parseInt(colours[Math.round(Math.min(1, value / (end || 1)) * (colours.length - 1))].slice(1), 16);
      image.data.set([colour >> 16, colour >> 8 & 255, colour & 255, 255], 4 * i);
    });
    context.putImageData(image, 0, 0);
  }

  function drawOverview(thumbs, doc) {
    const place = current(doc), ends = {};
    thumbs.classList.toggle("isolated", view.isolated);
    thumbs.querySelectorAll(".thumb").forEach((button) => {
      const l = +button.dataset.layer, h = doc.sent === "heads" ? +button.dataset.head : "mean";
      const key = view.scale === "map" ? null : view.scale === "layer" ? l : "all";
      const values = patches(doc, l, row(doc, l, h, query(doc, l, place)));
      const end = key === null ? highest(values) : ends[key] ??= top(doc, l, h, place);
      paint(button.firstChild, values, end);
      const chosen = l === layer(doc) && (h === chosenHead(doc) || typeof chosenHead(doc) === "string");
      button.setAttribute("aria-pressed", String(chosen));
      button.classList.toggle("alone", l === layer(doc) && h === chosenHead(doc));
    });
  }

  function drawArithmetic(target, doc) {
    const l = layer(doc), h = chosenHead(doc), place = current(doc), { step, terms: sent, valued } = doc.layers[l];
    const terms = sent ?? doc.layersHere[l]?.terms, q = query(doc, l, place), empty = (key, values) => target.replaceChildren(make("p", { class: "empty" }, say(key, values)));
    if (typeof h !== "number") return empty("arithmetic.head");
    if (!terms) {
      if (doc.old) return empty("arithmetic.old");
      ask(doc, l); // heads may be here without their numbers
      return empty(failed.has(`${doc.id} ${l}`) ? "arithmetic.failed" : "arithmetic.coming");
    }
    if (q < 0) return empty("says.nothing", { token: began(named(doc, l, place)) });
    const window = Math.floor(step.where[q] / step.queries), at = h * step.windows * step.queries + step.where[q];
    const lines = [...Array(terms.count).keys()].map((i) => {
      const j = terms.strongest[at * terms.count + i], score = terms.scores[at * terms.count + i];
      return [step.held[window * step.keys + j], score, Math.exp(score - terms.logsum[at]), valued ? terms.values[(h * step.windows + window) * step.keys + j] : null];
    }).filter(([k]) => k !== NONE && k >= step.seen[0]);
    const rest = 1 - lines.reduce((sum, [, , weight]) => sum + weight, 0);
    const number = (x) => (x === null ? "–" : x.toFixed(3));
    const body = lines.map(([k, score, weight, length]) => make("tr", {}, make("th", { scope: "row" }, crop(doc, grid(step.seen), k - step.seen[0]), " ", patchName(doc, grid(step.seen), k - step.seen[0])),
      ...[score, weight, length, length === null ? null : weight * length].map((x) => make("td", {}, number(x)))));
    body.push(make("tr", { class: "rest" }, make("th", { scope: "row" }, say("others")), make("td", {}, "…"), make("td", {}, number(Math.max(0, rest))), make("td", {}), make("td", {})),
      make("tr", { class: "sum" }, make("th", { scope: "row" }, say("sum")), make("td", {}), make("td", {}, "1.000"), make("td", {}), make("td", {})));
    const heads = ["column.patch", "column.score", "column.weight", "column.value", "column.product"];
    target.replaceChildren(make("p", { class: "finding" }, say("arithmetic.of", { token: named(doc, l, place), layer: l + 1, head: h + 1, name: doc.name })),
      make("table", {}, make("thead", {}, make("tr", {}, ...heads.map((key) => make("th", { scope: "col", title: say(`${key}.info`) }, say(key))))), make("tbody", {}, ...body)),
      ...(valued ? [] : [make("p", { class: "reading" }, say("arithmetic.unvalued"))]));
  }

  function crop(doc, [rows, columns], p) {
    const canvas = make("canvas", { width: 24, height: 24, "aria-hidden": "true" });
    const w = doc.seen.width / columns, t = doc.seen.height / rows;
    canvas.getContext("2d").drawImage(doc.seen, p % columns * w, Math.floor(p / columns) * t, w, t, 0, 0, 24, 24);
    return canvas;
  }

  function drawFilm() {
    const frame = view.frame ?? longest() - 1;
    root.querySelector("#att-frame").value = frame + 1;
    root.querySelector("#att-frame-is").textContent = say("film.is", { layer: frame + 1, layers: longest() });
    root.querySelectorAll(".att-frame").forEach((figure, i) => {
      const doc = panels[i], values = doc.film[Math.min(frame, doc.film.length - 1)], end = highest(values) || 1;
      const context = figure.querySelector("canvas").getContext("2d"), { width, height } = context.canvas;
      context.globalAlpha = 1;
      context.drawImage(doc.seen, 0, 0, width, height);
      context.globalAlpha = 0.62;
      values.forEach((value, p) => cell(context, doc.grid, p, (x, y, w, t) => {
        context.fillStyle = colours[Math.round(value / end * (colours.length - 1))];
        context.fillRect(x, y, w, t);
      }));
    });
    root.querySelectorAll(".att-depth").forEach((table, i) => table.querySelectorAll("tbody tr").forEach((line) =>
      line.classList.toggle("chosen", +line.dataset.layer === Math.min(frame, panels[i].layers.length - 1))));
  }

  // From outside places are tokens, as in links.
  function outside() {
    const doc = main(), number = (place) => tokenAt(doc, place);
    return { ...view, at: doc && view.at ? number(view.at) : null, pins: doc ? pinned(doc).map(number) : [] };
  }

  const change = ({ pins, ...rest }) => set(pins && panels.length ? { ...rest, pins: pins.map((token) => placeOf(main(), token)) } : rest);

  Object.assign(window.vitdemo, { attention: { show, more, wanted: () => question, set: change, view: outside } });
})();

// Hiding parts of the picture: a canvas with the patches of a grid and a brush. The browser draws; whenever a hand is
// lifted, the server is told what is hidden, and answers with what the backbones now say.
//
// `doc` is what the server sent: the picture, its grids, and for each grid and map the patches in order of importance.
(() => {
  const GREY = "#808080", FINE = 192; // cells on the long side of what the brush paints on
  const BRUSH = { small: 0.03, medium: 0.06, large: 0.12 }; // radius, of the long side
  const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  const view = { grid: "", hidden: new Set(), tool: "patch", brush: "medium", at: 0 };
  let doc = null, picture = null, canvas = null, mask = null, hand = null;

  const grid = () => doc.grids[view.grid];
  const say = (key, values = {}) => Object.entries(values).reduce((text, [k, v]) => text.replaceAll(`{${k}}`, v), doc.texts[key]);

  async function show(text) {
    const root = document.querySelector("#wi-canvas .wi") ?? document.querySelector("#wi-canvas");
    if (!root || !text) return;
    doc = JSON.parse(text);
    picture = new Image();
    picture.src = doc.picture;
    await picture.decode();
    canvas = document.createElement("canvas");
    Object.assign(canvas, { width: picture.width, height: picture.height, tabIndex: 0 });
    canvas.setAttribute("role", "application");
    canvas.setAttribute("aria-label", say("whatif.canvas"));
    canvas.setAttribute("aria-describedby", "wi-said");
    mask = document.createElement("canvas");
    const scale = FINE / Math.max(picture.width, picture.height);
    Object.assign(mask, { width: Math.round(picture.width * scale), height: Math.round(picture.height * scale) });
    const said = document.createElement("p");
    Object.assign(said, { id: "wi-said", className: "sr" });
    said.setAttribute("aria-live", "polite");
    root.replaceChildren(canvas, said);
    for (const [name, act] of Object.entries({ pointerdown: press, pointermove: move, pointerup: lift, pointercancel: lift, click: tap, keydown: walk, focus: draw, blur: draw })) {
      canvas.addEventListener(name, act);
    }
    view.grid = Object.keys(doc.grids)[0];
    view.hidden = new Set();
    view.at = 0;
    use(view.tool);
    draw();
  }

  // -- what is hidden -------------------------------------------------------------------------------------------

  function place(event) { // in 0..1 of the picture
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  function patchAt([x, y]) {
    const { shape: [rows, columns], box: [left, top, right, bottom] } = grid();
    const r = Math.floor((y - top) / (bottom - top) * rows), c = Math.floor((x - left) / (right - left) * columns);
    return r >= 0 && r < rows && c >= 0 && c < columns ? r * columns + c : null;
  }

  function set(patch, on) {
    if (patch === null) return;
    on ? view.hidden.add(patch) : view.hidden.delete(patch);
    view.at = patch;
    draw();
  }

  function stroke([x, y]) {
    const pen = mask.getContext("2d"), long = Math.max(mask.width, mask.height);
    pen.globalCompositeOperation = view.tool === "eraser" ? "destination-out" : "source-over";
    pen.fillStyle = pen.strokeStyle = GREY;
    pen.lineCap = "round";
    pen.lineWidth = 2 * BRUSH[view.brush] * long;
    pen.beginPath();
    pen.moveTo((hand.last?.[0] ?? x) * mask.width, (hand.last?.[1] ?? y) * mask.height);
    pen.lineTo(x * mask.width + 0.01, y * mask.height);
    pen.stroke();
    if (view.tool === "eraser") { // what is under the eraser comes back, patches too
      const patch = patchAt([x, y]);
      if (patch !== null) view.hidden.delete(patch);
    }
    hand.last = [x, y];
    draw();
  }

  function press(event) {
    if (view.tool === "patch" && event.pointerType === "touch") return; // it may be the beginning of scrolling
    const patch = patchAt(place(event));
    hand = { on: !view.hidden.has(patch), last: null };
    canvas.setPointerCapture(event.pointerId);
    view.tool === "patch" ? set(patch, hand.on) : stroke(place(event));
  }

  function move(event) {
    if (hand) view.tool === "patch" ? set(patchAt(place(event)), hand.on) : stroke(place(event));
  }

  function lift() {
    if (hand) send();
    hand = null;
  }

  function tap(event) { // of a finger; a mouse has pressed already
    if (event.pointerType !== "touch" || view.tool !== "patch") return;
    const patch = patchAt(place(event));
    if (patch === null) return;
    set(patch, !view.hidden.has(patch));
    send();
  }

  function walk(event) {
    const [rows, columns] = grid().shape, row = Math.floor(view.at / columns), column = view.at % columns;
    if (event.key in MOVES) {
      const [r, c] = [row + MOVES[event.key][0], column + MOVES[event.key][1]];
      if (r >= 0 && r < rows && c >= 0 && c < columns) view.at = r * columns + c;
      draw();
    } else if (event.key === "Enter" || event.key === " ") {
      set(view.at, !view.hidden.has(view.at));
      send();
    } else return;
    event.preventDefault();
    const where = { row: Math.floor(view.at / columns) + 1, column: view.at % columns + 1 };
    document.querySelector("#wi-said").textContent = say(view.hidden.has(view.at) ? "whatif.patch.hidden" : "whatif.patch.seen", where);
  }

  // The map's choice, most or least important first, or as many by chance; what was hidden before comes back.
  function rank(which, map, share) {
    if (!doc) return;
    const [rows, columns] = grid().shape, count = Math.max(1, Math.round(share / 100 * rows * columns));
    let order = doc.orders[view.grid]?.[map] ?? [];
    if (which === "random") {
      order = order.length ? [...order] : [...Array(rows * columns).keys()];
      for (let i = order.length - 1; i > 0; i--) {
        const j = Math.floor(Math.random() * (i + 1));
        [order[i], order[j]] = [order[j], order[i]];
      }
    }
    if (!order.length) return;
    clear();
    view.hidden = new Set(which === "least" ? order.slice(-count) : order.slice(0, count));
    draw();
    send();
  }

  const clear = () => { view.hidden = new Set(); mask.getContext("2d").clearRect(0, 0, mask.width, mask.height); };
  function reset() { if (doc) { clear(); draw(); send(); } }

  function choose(name) { // another grid: what was hidden stays, as if it had been painted
    if (!doc || !(name in doc.grids)) return;
    const pen = mask.getContext("2d");
    pen.globalCompositeOperation = "source-over";
    pen.fillStyle = GREY;
    view.hidden.forEach((patch) => pen.fillRect(...corners(patch, mask)));
    view.hidden = new Set();
    view.grid = name;
    view.at = 0;
    draw();
  }

  function use(tool, brush) {
    view.tool = tool ?? view.tool;
    view.brush = brush ?? view.brush;
    if (canvas) canvas.style.touchAction = view.tool === "patch" ? "manipulation" : "none";
  }

  // -- to the eye and to the server -----------------------------------------------------------------------------------

  function corners(patch, { width, height }) {
    const { shape: [rows, columns], box: [left, top, right, bottom] } = grid();
    const r = Math.floor(patch / columns), c = patch % columns, [w, h] = [(right - left) / columns, (bottom - top) / rows];
    const x = Math.round((left + c * w) * width), y = Math.round((top + r * h) * height);
    return [x, y, Math.round((left + (c + 1) * w) * width) - x, Math.round((top + (r + 1) * h) * height) - y];
  }

  function draw() {
    const pen = canvas.getContext("2d"), { width, height } = canvas;
    pen.drawImage(picture, 0, 0);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(mask, 0, 0, width, height);
    pen.fillStyle = GREY;
    view.hidden.forEach((patch) => pen.fillRect(...corners(patch, canvas)));
    const { shape: [rows, columns], box: [left, top, right, bottom] } = grid();
    pen.fillStyle = "rgb(0 0 0 / 55%)"; // what the backbone does not see
    pen.fillRect(0, 0, left * width, height);
    pen.fillRect(right * width, 0, (1 - right) * width, height);
    pen.fillRect(left * width, 0, (right - left) * width, top * height);
    pen.fillRect(left * width, bottom * height, (right - left) * width, (1 - bottom) * height);
    for (const [colour, off] of [["rgb(0 0 0 / 35%)", 1], ["rgb(255 255 255 / 45%)", 0]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = 1;
      pen.beginPath();
      for (let r = 0; r <= rows; r++) {
        const y = Math.round((top + r / rows * (bottom - top)) * height) + off + 0.5;
        pen.moveTo(left * width, y);
        pen.lineTo(right * width, y);
      }
      for (let c = 0; c <= columns; c++) {
        const x = Math.round((left + c / columns * (right - left)) * width) + off + 0.5;
        pen.moveTo(x, top * height);
        pen.lineTo(x, bottom * height);
      }
      pen.stroke();
    }
    if (document.activeElement === canvas) {
      for (const [colour, width] of [["#000", 5], ["#fff", 2]]) {
        pen.strokeStyle = colour;
        pen.lineWidth = width;
        pen.strokeRect(...corners(view.at, canvas));
      }
    }
  }

  function painted() { // one bit a cell, row by row, as base64; null where nothing is painted
    const { width, height } = mask, pixels = mask.getContext("2d").getImageData(0, 0, width, height).data;
    const bytes = new Uint8Array(Math.ceil(width * height / 8));
    let any = false;
    for (let i = 0; i < width * height; i++) {
      if (pixels[4 * i + 3] > 127) { bytes[i >> 3] |= 128 >> (i & 7); any = true; }
    }
    return any ? { size: [height, width], bits: btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")) } : null;
  }

  const message = () => JSON.stringify({ stamp: doc.stamp, grid: view.grid, hidden: [...view.hidden].sort((a, b) => a - b), mask: painted() });
  const send = () => document.querySelector("#wi-send").click();

  Object.assign(window.vitdemo, { whatif: { show, message, rank, reset, choose, use, view: () => ({ ...view, hidden: [...view.hidden] }) } });
})();

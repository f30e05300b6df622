// Runs before anything else on the page: what this person chose holds from the first moment on. Then what the buttons do.
(() => {
  const root = document.documentElement;
  const languages = { en: "en", zh: "zh-CN" };
  const looks = ["light", "dark"];
  // a page inside another one may have no storage; then a choice lasts as long as the page
  const kept = (key) => { try { return localStorage.getItem(`vitdemo.${key}`); } catch { return null; } };
  const keep = (key, value) => { try { localStorage.setItem(`vitdemo.${key}`, value); } catch { /* not kept */ } };
  const query = () => new URLSearchParams(location.search);
  const show = (parameters) => {
    const text = parameters.toString().replaceAll("%2C", ",");
    history.replaceState(null, "", location.pathname + (text ? `?${text}` : ""));
  };

  const parameters = query();
  if (!parameters.has("lang") && languages[kept("lang")]) parameters.set("lang", kept("lang"));
  if (!parameters.has("__theme") && looks.includes(kept("look"))) parameters.set("__theme", kept("look"));
  if (parameters.toString() !== query().toString()) show(parameters);
  const language = languages[parameters.get("lang")];
  if (language) {
    Object.defineProperty(navigator, "language", { get: () => language });
    Object.defineProperty(navigator, "languages", { get: () => [language] });
  }
  root.classList.toggle("projector", kept("projector") === "on");
  let asked = query().get("tab"); // until it is open, the first tab is selected without anybody's having chosen it

  const pressed = (id, on) => document.querySelector(id)?.setAttribute("aria-pressed", on);
  window.vitdemo = {
    // the buttons say whether they are on
    begin() {
      pressed("#look", document.body.classList.contains("dark"));
      pressed("#projector", root.classList.contains("projector"));
    },
    switchLanguage() {
      const next = (navigator.language || "").toLowerCase().startsWith("zh") ? "en" : "zh";
      keep("lang", next);
      const changed = query();
      changed.set("lang", next);
      show(changed);
      location.reload();
    },
    switchLook() {
      const dark = document.body.classList.toggle("dark");
      keep("look", dark ? "dark" : "light");
      const changed = query();
      changed.set("__theme", dark ? "dark" : "light");
      show(changed);
      pressed("#look", dark);
    },
    switchProjector() {
      const on = root.classList.toggle("projector");
      keep("projector", on ? "on" : "off");
      pressed("#projector", on);
    },
    // the address says what the page shows; the language, the tab, what is pinned in it and Gradio's own parameters (__theme …) stay in it
    setLink(settings) {
      const next = new URLSearchParams(settings);
      for (const [key, value] of query()) {
        if (key.startsWith("__") || ["lang", "tab", "scale", "colours", "opacity", "at", "beside", "at_layer", "at_head", "at_scale", "token", "step"].includes(key)) next.set(key, value);
      }
      show(next);
    },
    // how maps are drawn, which the server is not asked for again
    setDisplay(scale, colours, opacity) {
      const changed = query();
      const usual = { scale: "each", colours: "magma", opacity: 0.6 };
      for (const [key, value] of Object.entries({ scale, colours, opacity })) {
        value === usual[key] ? changed.delete(key) : changed.set(key, value);
      }
      show(changed);
    },
    copyText(text) {
      navigator.clipboard?.writeText(text).catch(() => { /* it stands on the page */ });
    },
    setTab(name, first) {
      if (asked !== null) return asked;
      const changed = query();
      name === first ? changed.delete("tab") : changed.set("tab", name);
      if (name === "learn") window.vitdemo.learn?.leave();
      show(changed);
      return name;
    },
    // what each tab has to show, of which the open one hears: the analysis, or that there is none
    due: (names, opened, done, due) => due.map((shown, index) => (names[index] === opened ? done || "none" : shown)),
    beginTabs(name, first) {
      asked = null;
      return this.setTab(name, first);
    },
    // a picture file of one map: what is seen in it, at the size of its picture
    async savePicture(stack, name) {
      const images = [...stack.querySelectorAll("img")];
      const base = new Image();
      base.src = getComputedStyle(stack).backgroundImage.replace(/^url\("(.*)"\)$/s, "$1");
      await Promise.all([base, ...images].map((image) => image.decode()));
      const canvas = document.createElement("canvas");
      canvas.width = base.naturalWidth;
      canvas.height = base.naturalHeight;
      const pen = canvas.getContext("2d");
      pen.imageSmoothingQuality = "high";
      for (const image of [base, ...images]) {
        pen.globalAlpha = image === base ? 1 : parseFloat(getComputedStyle(image).opacity);
        pen.drawImage(image, 0, 0, canvas.width, canvas.height);
      }
      const link = document.createElement("a");
      link.download = `${name}.png`;
      link.href = canvas.toDataURL("image/png");
      link.click();
    },
    scrutinyAsked: () => scrutiny,
    scrutinyFound(html) {
      const place = document.querySelector("#loupe .scrutiny");
      if (place) place.innerHTML = html;
    },
    // which sample the link names, "" where the picture is the visitor's own and no link can hold it
    copyLink() {
      navigator.clipboard ? navigator.clipboard.writeText(location.href) : window.prompt("", location.href);
      return query().get("sample") ?? "";
    },
    ownPicture() {
      const changed = query();
      changed.delete("sample");
      changed.set("own", "1");
      show(changed);
    },
    // whether maps are judged, which asks for no other analysis
    setTrust(wanted) {
      const changed = query();
      changed.set("trust", wanted ? "1" : "0");
      show(changed);
      return [];
    },
  };

  // A click on a map shows it large, with its figures, which come from the page. The server is asked for the further
  // tests of one map alone, and the words of the question stand in `scrutiny` until a hidden button fetches them.
  let scrutiny = "";
  const element = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children.filter(Boolean));
    return made;
  };
  const enlarge = (stack) => {
    const cell = stack.closest(".cell");
    const method = stack.closest(".method");
    const maps = stack.closest(".maps");
    const words = maps.dataset;
    const title = `${method.querySelector("h3").textContent} · ${cell.querySelector("figcaption").textContent}`;
    const copied = (from, selector) => from.querySelector(selector)?.cloneNode(true);
    const large = element("div", { className: "stack" }, ...[...stack.children].map((image) => image.cloneNode(true)));
    const picture = element("div", { className: "maps" }, large, copied(cell, ".scale"));
    picture.style.cssText = maps.style.cssText;
    const trust = copied(cell, ".trust");
    if (trust) trust.open = true;
    const place = element("div", { className: "scrutiny", ariaLive: "polite" });
    const ask = () => {
      test.disabled = true;
      scrutiny = JSON.stringify({ subject: cell.dataset.subject, method: cell.dataset.method, at: Date.now() });
      document.querySelector("#scrutiny-press").click();
    };
    const test = element("button", { type: "button", textContent: words.scrutinise, onclick: ask });
    const further = element("div", { className: "further" }, test, element("p", { textContent: words.scrutiny }), place);
    const raw = copied(cell, ".raw");
    raw.hidden = false;
    raw.prepend(element("h3", { textContent: words.figures }));
    const limits = method.querySelector(".limits");
    const reading = element("div", {},
      element("h3", { textContent: limits.querySelector("summary").textContent }),
      element("p", { textContent: [...limits.childNodes].filter((node) => node.nodeName !== "SUMMARY").map((node) => node.textContent).join("") }));
    const close = element("button", { type: "button", textContent: words.close, onclick: () => dialog.close() });
    const save = element("button", { type: "button", className: "download", textContent: words.download,
      onclick: () => window.vitdemo.savePicture(large, title.replace(/[^\p{L}\p{N}]+/gu, "-")) });
    const dialog = element("dialog", { id: "loupe" },
      element("header", {}, element("h2", { id: "loupe-title", textContent: title }), element("div", { className: "ways" }, save, close)),
      element("p", { textContent: method.querySelector(".sentence").textContent }),
      element("div", { className: "both" }, picture, element("div", { className: "words" }, trust, further, reading, raw)));
    dialog.setAttribute("aria-labelledby", "loupe-title");
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    dialog.addEventListener("close", () => {
      if (place.querySelector(".working")) {  // nobody waits for it any more
        scrutiny = "";
        document.querySelector("#scrutiny-press").click();
      }
      dialog.remove();
      stack.focus();
    });
    document.querySelector(".gradio-container .contain").append(dialog);
    dialog.showModal();
    close.focus();
  };
  document.addEventListener("click", (event) => {
    const stack = event.target.closest?.("#maps button.stack");
    if (stack) enlarge(stack);
  });
})();

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
        if (key.startsWith("__") || ["lang", "tab", "layer", "head", "token", "step"].includes(key)) next.set(key, value);
      }
      show(next);
    },
    setTab(name, first) {
      if (asked !== null) return asked;
      const changed = query();
      name === first ? changed.delete("tab") : changed.set("tab", name);
      show(changed);
      return name;
    },
    beginTabs(name, first) {
      asked = null;
      return this.setTab(name, first);
    },
    copyLink() {
      navigator.clipboard ? navigator.clipboard.writeText(location.href) : window.prompt("", location.href);
    },
  };
})();

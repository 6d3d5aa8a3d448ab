/**
 * What pages run: asks for events once in each window, loads the page again when the version is another one than that of
 * the script's own address, and shows failures on top of the page. Plain text, as no compiler knows of browsers here.
 */
export function pageScriptText(eventPath: string): string {
  return `(() => {
  if (window.rrReload) return;
  window.rrReload = true;
  let version = new URL(document.currentScript.src).searchParams.get("v");
  let overlay;
  const show = (text) => {
    overlay?.remove();
    overlay = undefined;
    if (text === "") return;
    overlay = document.createElement("pre");
    overlay.id = "rr-reload-failure";
    overlay.setAttribute("role", "alert");
    overlay.title = "Click to hide";
    // By a script, as a policy for styles may forbid the attribute.
    overlay.style.cssText = "all:initial;position:fixed;inset:auto 0 0 0;z-index:2147483647;max-height:60vh;" +
      "overflow:auto;padding:16px 20px;box-sizing:border-box;white-space:pre-wrap;font:14px/1.5 monospace;" +
      "color:#fff;background:#8b1a1a";
    overlay.textContent = text;
    const shown = overlay;
    overlay.onclick = () => shown.remove();
    document.documentElement.append(overlay);
  };
  // Once for each version: something between may give out an old page.
  const isNew = (other) => {
    const mark = other + " " + location.href;
    try {
      if (sessionStorage.rrReload === mark) return false;
      sessionStorage.rrReload = mark;
    } catch {}
    return true;
  };
  const source = new EventSource(${JSON.stringify(eventPath)});
  source.onmessage = ({ data }) => {
    const state = JSON.parse(data);
    if (!version) version = state.version;
    if (state.version !== "" && state.version !== version && isNew(state.version)) {
      source.close();
      location.reload();
    } else show(state.failures.join("\\n\\n"));
  };
})();
`;
}

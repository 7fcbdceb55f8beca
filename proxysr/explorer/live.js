// Shows HTML made in Python and tells Python which of its parts were pressed. Parts that can be
// pressed carry data-do and data-value; arrow keys move among those of the same kind.
function render({ model, el }) {
  const same = (part) => (other) =>
    other.dataset.do === part.dataset.do && other.dataset.value === part.dataset.value;
  const draw = () => {
    const had = el.contains(document.activeElement) ? document.activeElement : null;
    const scrolled = el.querySelector("[data-scroll]")?.scrollTop ?? 0;
    el.innerHTML = model.get("html");
    const box = el.querySelector("[data-scroll]");
    if (box) box.scrollTop = scrolled;
    if (had?.dataset.do) {
      const parts = [...el.querySelectorAll("button[data-do]")];
      parts.find(same(had))?.focus({ preventScroll: true });
    }
  };
  const press = (event) => {
    const part = event.target.closest("[data-do]");
    if (part && el.contains(part)) model.send({ do: part.dataset.do, value: part.dataset.value });
  };
  const move = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const here = event.target.closest("button[data-do]");
    if (!step || !here) return;
    const alike = [...el.querySelectorAll("button[data-do]")].filter(
      (part) => part.dataset.do === here.dataset.do);
    const next = alike[alike.indexOf(here) + step];
    if (next) { next.focus(); event.preventDefault(); }
  };
  el.classList.add("px-live");
  el.addEventListener("click", press);
  el.addEventListener("keydown", move);
  model.on("change:html", draw);
  draw();
  return () => {
    model.off("change:html", draw);
    el.removeEventListener("click", press);
    el.removeEventListener("keydown", move);
  };
}
export default { render };

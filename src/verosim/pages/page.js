"use strict";
// Comfort only: without it the page says and shows the same. No data is sent anywhere.
{
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const text = (element, name) => element.dataset[name] ?? "";
  const show = (element) => { element.hidden = false; };

  // The theme: what the reader's system says, until a button is pressed.
  const theme = document.getElementById("theme");
  if (theme) {
    const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    const tell = () => { theme.textContent = dark() ? "Light" : "Dark"; };
    theme.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; tell(); });
    tell();
    show(theme);
  }

  // The numbers of the page, as a file.
  const held = document.getElementById("data");
  const save = document.getElementById("save");
  if (held && save) {
    save.addEventListener("click", () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([held.textContent], { type: "application/json" }));
      link.download = save.dataset.name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
    show(save);
  }

  // Lists of many: find by name, put in another order, open all.
  for (const tools of all(".tools")) {
    const list = document.getElementById(tools.dataset.list);
    const items = all(":scope > li", list);
    const find = tools.querySelector("input[type=search]");
    const order = tools.querySelector("select");
    const open = tools.querySelector("button");
    const told = tools.querySelector("output");
    const more = list.parentElement.querySelector(".more > input");
    const filter = () => {
      const wanted = find.value.trim().toLocaleLowerCase();
      let n = 0;
      for (const item of items) {
        item.hidden = wanted !== "" && !text(item, "name").toLocaleLowerCase().includes(wanted);
        n += !item.hidden;
      }
      if (more && wanted) more.checked = true;
      told.value = wanted ? `${n} of ${items.length}` : "";
    };
    const sort = () => {
      const key = order.value;
      const by = key === "name"
        ? (a, b) => text(a, "name").localeCompare(text(b, "name"))
        : (a, b) => Number(text(a, key)) - Number(text(b, key));
      items.sort(by).forEach((item) => list.append(item));
    };
    find.addEventListener("input", filter);
    order?.addEventListener("change", sort);
    open?.addEventListener("click", () => {
      const closed = all("li:not([hidden]) > details:not([open])", list);
      const some = closed.length ? closed : all("li > details", list);
      some.forEach((item) => { item.open = closed.length > 0; });
    });
    show(tools);
  }

  // Heat maps: what stands in the cell under the pointer. A JSON pointer says where its numbers lie.
  let data;
  const lookup = (pointer) => {
    data ??= JSON.parse(held.textContent);
    return pointer.split("/").slice(1).reduce((at, key) => at[key.replaceAll("~1", "/").replaceAll("~0", "~")], data);
  };
  for (const map of held ? all("svg[data-grid]") : []) {
    const say = map.parentElement.querySelector(".pointer");
    const [left, top, wide, high] = text(map, "grid").split(" ").map(Number);
    map.addEventListener("pointermove", (event) => {
      const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(map.getScreenCTM().inverse());
      const column = Math.floor((place.x - left) / wide), row = Math.floor((place.y - top) / high);
      const value = lookup(text(map, "values"))[row]?.[column];
      const [x, y] = [lookup(text(map, "x"))[column], lookup(text(map, "y"))[row]];
      const number = typeof value === "number" ? `${Number((value * Number(text(map, "scale"))).toPrecision(4))}${text(map, "unit")}` : "";
      say.textContent = number && x !== undefined ? `${y} × ${x}: ${number}` : "";
    });
    map.addEventListener("pointerleave", () => { say.textContent = ""; });
  }

  // On paper nothing can be opened: what is worst is.
  addEventListener("beforeprint", () => { all("details[data-print]").forEach((item) => { item.open = true; }); });
  const contents = document.querySelector(".contents details");
  if (contents && !matchMedia("(min-width: 68rem)").matches) contents.open = false;
}

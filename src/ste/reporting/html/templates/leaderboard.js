"use strict";
const board = document.getElementById("board");
if (board) {
  const body = board.tBodies[0], heads = [...board.tHead.rows[0].cells], rows = [...body.rows];
  const key = (row, column) => {
    const cell = row.cells[column];
    return heads[column].classList.contains("n") ? parseFloat(cell.dataset.value ?? "NaN")
      : (cell.dataset.value ?? cell.textContent).trim().toLowerCase();
  };
  const sort = (column, way) => {
    const sign = way === "ascending" ? 1 : -1;
    const keyed = rows.map((row, place) => [key(row, column), place, row]);
    keyed.sort(([a, i], [b, j]) => {
      if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b) || i - j;  // no figure: last
      return a < b ? -sign : a > b ? sign : i - j;
    });
    body.append(...keyed.map(([, , row]) => row));
    heads.forEach((head, i) => i === column ? head.setAttribute("aria-sort", way) : head.removeAttribute("aria-sort"));
  };
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const now = head.getAttribute("aria-sort");
    const other = now === "ascending" ? "descending" : "ascending";
    sort(column, now ? other : head.dataset.better || "ascending");
  }));
  const filter = document.getElementById("filter"), shown = document.getElementById("shown");
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
    const left = rows.filter((row) => !row.hidden).length;
    shown.textContent = words.length ? `${left} of ${rows.length}` : "";
  });
}

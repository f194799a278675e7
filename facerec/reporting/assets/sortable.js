"use strict";
// Tables of the class "sortable": a click on a column's head sorts by it.
const sortableTable = (() => {
  const collator = new Intl.Collator("en", { numeric: true });
  function sortable(table) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
        const rows = [...table.tBodies[0].rows];
        rows.sort((a, b) => collator.compare(value(a), value(b)) * (down ? -1 : 1));
        table.tBodies[0].append(...rows);
      });
    });
  }
  document.querySelectorAll("table.sortable").forEach(sortable);
  return sortable;
})();

// Lists that change while somebody looks at them.

/**
 * Lets a list show a row for each item, in their order; an item is told by its `id`. Rows that there are stay, so
 * that the one with the focus does not lose it; where that row goes, its neighbour gets the focus.
 */
export function showRows(list, items, { newRow, fill }) {
  const ids = new Set(items.map(({ id }) => id));
  for (const row of [...list.children]) {
    if (!ids.has(row.dataset.id)) remove(row);
  }
  items.forEach((item, place) => {
    const row = rowOf(list, item.id) ?? newRow(item);
    row.dataset.id = item.id;
    fill(row, item);
    const present = list.children[place];
    if (present !== row) list.insertBefore(row, present ?? null);
  });
}

export function rowOf(list, id) {
  return list.querySelector(`:scope > [data-id="${id}"]`);
}

function remove(row) {
  const neighbour = row.nextElementSibling ?? row.previousElementSibling;
  const hasFocus = row.contains(document.activeElement);
  row.remove();
  if (hasFocus) neighbour?.querySelector("button:enabled")?.focus();
}

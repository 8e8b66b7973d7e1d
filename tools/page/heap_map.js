// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The heap page by page on a canvas. When there are more pages than cells fit, a cell stands for several of them and
// shows the one that is most in use.
'use strict';

tslab.pageUses = [
  ['free, given back', 'grid'], ['free, resident', 's13'], ['empty slab, kept', 's6'], ['slab', 's0'], ['large allocation', 's2'],
];
tslab.mapColors = 'use';
tslab.mapHeight = 270;

tslab.mixed = (a, b, part) => {
  const hex = c => [1, 3, 5].map(i => parseInt(c.slice(i, i + 2), 16));
  const x = hex(a), y = hex(b);
  return 'rgb(' + x.map((v, i) => Math.round(v + (y[i] - v) * part)).join(',') + ')';
};

tslab.drawMap = (data, name) => {
  const box = tslab.at('map'), e = tslab.element;
  if (!data) return box.replaceChildren(tslab.none('There is no map of this heap.'));
  if (!Array.isArray(data.maps)) return box.replaceChildren(tslab.none('There is no map: ' + (data.reason || 'it was not recorded') + '.'));
  const map = data.maps.find(m => m.name === name);
  if (!map || map.runs.length === 0) return box.replaceChildren(tslab.none('This heap has used no pages yet, or cannot show them.'));

  const runs = map.runs.map(([first, pages, use, cls, epoch, era, label, slots, live]) => ({first, pages, use, cls, epoch, era, label, slots, live}));
  const total = runs[runs.length - 1].first + runs[runs.length - 1].pages;
  const labelOf = r => r.use < 3 ? null : map.label_names[r.label] || 'unlabeled';
  const width = Math.max(box.clientWidth, 240), least = 4;   // pixels of a cell
  const most = Math.floor(width / least) * Math.floor(tslab.mapHeight / least);
  const group = Math.max(Math.ceil(total / most), 1);   // pages to a cell
  const cells = Math.ceil(total / group);
  let size = 14;
  while (size > least && Math.ceil(cells / Math.floor(width / size)) * size > tslab.mapHeight) --size;
  const across = Math.floor(width / size), down = Math.ceil(cells / across);

  const shown = new Array(cells).fill(null);
  for (const r of runs)
    for (let c = Math.floor(r.first / group); c * group < r.first + r.pages; ++c)
      if (!shown[c] || r.use > shown[c].use) shown[c] = r;

  const panel = tslab.color('panel'), free = tslab.color('grid');
  const colors = tslab.pageUses.map(u => tslab.color(u[1]));
  const colorOf = r => {
    if (tslab.mapColors === 'use') return colors[r.use] || free;
    if (r.use < 3) return tslab.mixed(colors[r.use], panel, r.use === 0 ? 0 : 0.6);
    if (tslab.mapColors === 'label') return tslab.labelColor(labelOf(r));
    const full = r.use === 4 ? 1 : r.slots ? r.live / r.slots : 0;
    return tslab.mixed(tslab.color('s1'), tslab.color('s0'), full);
  };

  const canvas = box.querySelector('canvas') || e('canvas', {className: 'map', tabIndex: 0});
  const scale = window.devicePixelRatio || 1;
  canvas.width = across * size * scale;
  canvas.height = down * size * scale;
  canvas.style.width = across * size + 'px';
  canvas.style.height = down * size + 'px';
  const pen = canvas.getContext('2d');
  pen.scale(scale, scale);
  pen.clearRect(0, 0, across * size, down * size);
  const gap = size > 5 ? 1 : 0.5;
  shown.forEach((r, c) => {
    if (!r) return;
    pen.fillStyle = colorOf(r);
    // Pages of one run touch; between runs there is a gap.
    const joined = c + 1 < cells && shown[c + 1] === r && (c + 1) % across !== 0;
    pen.fillRect(c % across * size, Math.floor(c / across) * size, size - (joined ? 0 : gap), size - gap);
  });

  const pagesOf = tslab.pageUses.map((_, use) => runs.reduce((n, r) => n + (r.use === use ? r.pages : 0), 0));
  const legend = e('ul', {className: 'legend'});
  if (tslab.mapColors === 'use') {
    tslab.pageUses.forEach(([text], use) => legend.append(
      e('li', {}, tslab.swatch(colors[use]), text, e('b', {}, tslab.bytes(pagesOf[use] * map.page_size)))));
  } else if (tslab.mapColors === 'label') {
    const byLabel = new Map();
    for (const r of runs) if (r.use >= 3) byLabel.set(labelOf(r), (byLabel.get(labelOf(r)) || 0) + r.pages);
    for (const [text, pages] of [...byLabel].sort((a, b) => b[1] - a[1]))
      legend.append(e('li', {}, tslab.swatch(tslab.labelColor(text)), text, e('b', {}, tslab.bytes(pages * map.page_size))));
  } else {
    legend.append(e('li', {}, tslab.swatch(tslab.color('s1')), 'hardly used'), e('li', {}, tslab.swatch(tslab.color('s0')), 'full'));
  }
  const notes = [];
  if (group > 1) notes.push(`A cell stands for ${group} pages.`);
  if (map.cut > 0) notes.push(`${tslab.count(map.cut)} runs further on are not shown.`);
  if (tslab.mapColors === 'fill' && !map.live_known) notes.push('How full slabs are could not be read.');
  const detail = e('p', {className: 'detail'}, notes.join(' ') || 'Point at a page to read about it.');

  let at = 0;
  const describe = c => {
    const r = shown[c];
    if (!r) return;
    const words = [`page ${r.first}` + (r.pages > 1 ? ` to ${r.first + r.pages - 1}` : ''), tslab.pageUses[r.use] ? tslab.pageUses[r.use][0] : 'unknown'];
    if (r.use >= 3) words.push(labelOf(r), r.era ? `slot ${r.epoch} of the ring, era ${r.era}` : 'of an epoch that was opened while the map was read');
    if (r.use === 3) words.push(`class ${r.cls}`, map.live_known ? `${r.live} of ${r.slots} slots live` : `${r.slots} slots`);
    detail.textContent = words.join(' · ');
  };
  canvas.onmousemove = event => {
    const c = Math.floor(event.offsetY / size) * across + Math.min(Math.floor(event.offsetX / size), across - 1);
    if (c >= 0 && c < cells) describe(at = c);
  };
  canvas.onkeydown = event => {
    const step = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: across, ArrowUp: -across}[event.key];
    if (!step) return;
    event.preventDefault();
    at = Math.min(Math.max(at + step, 0), cells - 1);
    describe(at);
  };
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', 'Pages by use: ' + tslab.pageUses.map(([text], use) => `${text} ${pagesOf[use]}`).join(', ') + '. Arrow keys walk from page to page.');
  if (canvas.parentNode === box) {
    while (canvas.nextSibling) canvas.nextSibling.remove();
    box.append(legend, detail);
  } else {
    box.replaceChildren(canvas, legend, detail);
  }
};

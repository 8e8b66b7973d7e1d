// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Epochs as bars over time. A leak has a row of its own, on top; below, epochs of one label share rows where they do not
// overlap.
'use strict';

tslab.mostEpochs = 1500;
tslab.mostRowsOfLabel = 8;

// [{name, leaked, bars}], from the top, and how many epochs have no place. `apart`: the least time between two bars.
tslab.timelineRows = (epochs, apart) => {
  const rows = [];
  for (const e of epochs.filter(e => e.leaked)) rows.push({name: e.label || 'unlabeled', leaked: true, bars: [e]});
  const rest = epochs.filter(e => !e.leaked).sort((a, b) => b.open - a.open);
  const labels = new Map();
  let hidden = Math.max(rest.length - tslab.mostEpochs, 0);
  for (const e of rest.slice(0, tslab.mostEpochs).reverse()) {
    const name = e.label || 'unlabeled';
    if (!labels.has(name)) labels.set(name, []);
    const lanes = labels.get(name);
    let lane = lanes.find(l => l[l.length - 1].end + apart <= e.open);
    if (!lane && lanes.length < tslab.mostRowsOfLabel) lanes.push(lane = []);
    if (lane) lane.push(e);
    else ++hidden;
  }
  const few = [...labels].sort((a, b) => a[1].length - b[1].length);   // what lasts stands above what comes and goes
  for (const [name, lanes] of few)
    lanes.forEach((bars, i) => rows.push({name: i === 0 ? name : '', leaked: false, bars}));
  return {rows, hidden};
};

tslab.epochWords = e => {
  const words = [`${e.label || 'unlabeled'}, slot ${e.id}, era ${e.era}`,
    e.leaked ? 'should be gone' : e.there ? (e.closed !== null ? 'closed' : 'open') : 'over',
    `opened ${tslab.clock(e.open)}, ${tslab.duration(Math.max(e.end - e.open, 0) / 1000)}`];
  const n = e.now;
  if (n) words.push(`${tslab.count(n.live_objects)} live objects, ${tslab.bytes(n.live_bytes)} live of ${tslab.bytes(n.held_bytes)} held`, `${n.refcount} inside`);
  return words.join(' · ');
};

tslab.drawTimeline = (samples, heap) => {
  const box = tslab.at('timeline'), {svg, element} = tslab;
  tslab.at('leaks').replaceChildren(...heap.leaks.map(text => element('li', {}, text)));
  const epochs = tslab.epochsOf(samples);
  if (epochs.length === 0) return box.replaceChildren(tslab.none('No epoch was open while we looked.'));

  const t1 = samples[samples.length - 1].t;
  const t0 = Math.min(samples[0].t, t1 - 10000);
  const width = Math.max(box.clientWidth, 280), narrow = width < 560;
  const left = narrow ? 96 : 190, right = 12, row = 17;
  const {rows, hidden} = tslab.timelineRows(epochs, (t1 - t0) * 2 / (width - left - right));
  const height = rows.length * row + 4;
  const x = t => left + (width - left - right) * Math.min(Math.max((t - t0) / (t1 - t0), 0), 1);
  const picture = (name, high) => svg('svg', {class: 'timeline', viewBox: `0 0 ${width} ${high}`, width, height: high, ...name});
  const bars = picture({role: 'group', 'aria-label': 'Epochs over time; arrow keys walk from one to the next'}, height);
  bars.append(svg('defs', {}, svg('pattern', {id: 'stripes', width: 7, height: 7, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)'},
    svg('rect', {width: 3, height: 7, fill: tslab.color('panel'), opacity: 0.55}))));
  const axis = picture({'aria-hidden': 'true'}, 20);
  const ticks = narrow ? 3 : 6;
  for (let i = 0; i <= ticks; ++i) {
    const t = t0 + (t1 - t0) * i / ticks;
    bars.append(svg('line', {class: 'tick', x1: x(t), x2: x(t), y1: 0, y2: height}));
    axis.append(svg('text', {x: x(t), y: 15, 'text-anchor': i === 0 ? 'start' : i === ticks ? 'end' : 'middle'}, tslab.clock(t)));
  }

  const detail = element('p', {className: 'detail'}, 'Point at an epoch to read about it.');
  rows.forEach((r, i) => {
    const y = i * row + 2, most = narrow ? 12 : 24;
    bars.append(svg('text', {class: r.leaked ? 'row leaked' : 'row', x: 0, y: y + 12}, r.name.length > most ? r.name.slice(0, most - 1) + '…' : r.name));
    for (const e of r.bars) {
      const color = e.leaked ? tslab.color('bad') : tslab.labelColor(e.label || 'unlabeled');
      const bar = (from, fill) => svg('rect', {x: x(from), y: y + 2, width: Math.max(x(e.end) - x(from), 2), height: row - 5, rx: 2.5, fill});
      const text = tslab.epochWords(e);
      const group = svg('g', {tabindex: -1, role: 'img', 'aria-label': text, class: e.leaked ? 'bar leaked' : 'bar'}, bar(e.open, color));
      if (e.closed !== null && e.closed < e.end) group.append(bar(e.closed, 'url(#stripes)'));
      const show = () => { detail.textContent = text; };
      group.addEventListener('mouseenter', show);
      group.addEventListener('focus', show);
      group.dataset.key = e.id + '/' + e.era;
      bars.append(group);
    }
  });
  const all = [...bars.querySelectorAll('g.bar')];
  if (all.length) all[0].setAttribute('tabindex', 0);
  bars.addEventListener('keydown', event => {
    const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
    const at = all.indexOf(document.activeElement);
    if (!step || at < 0) return;
    event.preventDefault();
    all[Math.min(Math.max(at + step, 0), all.length - 1)].focus();
  });

  const before = box.querySelector('.scroll');
  const place = before ? before.scrollTop : 0;
  const focused = before && before.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const scroll = element('div', {className: 'scroll'});
  scroll.append(bars);
  box.replaceChildren(scroll, axis, detail);
  if (hidden > 0) box.append(element('p', {className: 'detail'}, `${tslab.count(hidden)} more epochs have no place here.`));
  scroll.scrollTop = place;
  const again = focused && all.find(g => g.dataset.key === focused);
  if (again) again.focus({preventScroll: true});
};

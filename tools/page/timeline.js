// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Epochs as bars over time.
'use strict';

tslab.mostEpochs = 60;

tslab.drawTimeline = (samples, heap) => {
  const box = tslab.at('timeline');
  const all = tslab.epochsOf(samples);
  // Leaks are always shown; of the others those that are there, then the newest. Then the oldest on top.
  const shown = all.length <= tslab.mostEpochs ? all
    : [...all.filter(e => e.leaked), ...all.filter(e => !e.leaked).sort((a, b) => b.there - a.there || b.open - a.open)].slice(0, tslab.mostEpochs);
  shown.sort((a, b) => a.open - b.open || a.id - b.id);
  tslab.at('leaks').replaceChildren(...heap.leaks.map(text => tslab.element('li', {}, text)));
  if (shown.length === 0) return box.replaceChildren(tslab.none('No epoch was open while we looked.'));

  const t1 = samples[samples.length - 1].t;
  let t0 = samples[0].t;
  if (t1 - t0 < 10000) t0 = t1 - 10000;
  const width = Math.max(box.clientWidth, 320), narrow = width < 560;
  const left = narrow ? 96 : 190, right = 12, row = 19, top = 4, foot = 22;
  const height = top + shown.length * row + foot;
  const x = t => left + (width - left - right) * Math.min(Math.max((t - t0) / (t1 - t0), 0), 1);
  const svg = tslab.svg('svg', {class: 'timeline', viewBox: `0 0 ${width} ${height}`, width, height, role: 'group', 'aria-label': 'Epochs over time'});
  const stripes = tslab.svg('pattern', {id: 'stripes', width: 7, height: 7, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)'},
    tslab.svg('rect', {width: 3, height: 7, fill: tslab.color('panel'), opacity: 0.55}));
  svg.append(tslab.svg('defs', {}, stripes));

  const ticks = narrow ? 3 : 6;
  for (let i = 0; i <= ticks; ++i) {
    const t = t0 + (t1 - t0) * i / ticks;
    svg.append(tslab.svg('line', {class: 'tick', x1: x(t), x2: x(t), y1: top, y2: height - foot}),
      tslab.svg('text', {x: x(t), y: height - 6, 'text-anchor': i === 0 ? 'start' : i === ticks ? 'end' : 'middle'}, tslab.clock(t)));
  }

  const detail = tslab.element('p', {className: 'detail'}, 'Point at an epoch to read about it.');
  shown.forEach((e, i) => {
    const y = top + i * row;
    const name = e.label || 'unlabeled';
    const most = narrow ? 12 : 24;
    svg.append(tslab.svg('text', {class: e.leaked ? 'row leaked' : 'row', x: 0, y: y + 13}, name.length > most ? name.slice(0, most - 1) + '…' : name));
    const color = e.leaked ? tslab.color('bad') : tslab.labelColor(name);
    const bar = (from, to, fill) => tslab.svg('rect', {x: x(from), y: y + 3, width: Math.max(x(to) - x(from), 3), height: row - 6, rx: 3, fill});
    const n = e.now;
    const words = [`${name}, slot ${e.id}, era ${e.era}`,
      e.leaked ? 'should be gone' : e.there ? (e.closed ? 'closed' : 'open') : 'over',
      `opened ${tslab.clock(e.open)}, ${tslab.duration(Math.max(e.end - e.open, 0) / 1000)}`];
    if (n) words.push(`${tslab.count(n.live_objects)} live objects, ${tslab.bytes(n.live_bytes)} live of ${tslab.bytes(n.held_bytes)} held`, `${n.refcount} inside`);
    const text = words.join(' · ');
    const group = tslab.svg('g', {tabindex: 0, role: 'img', 'aria-label': text, class: e.leaked ? 'bar leaked' : 'bar'}, bar(e.open, e.end, color));
    if (e.closed !== null && e.closed < e.end) {
      const striped = bar(Math.max(e.closed, t0), e.end, 'url(#stripes)');
      group.append(striped);
    }
    const show = () => { detail.textContent = text; };
    group.addEventListener('mouseenter', show);
    group.addEventListener('focus', show);
    svg.append(group);
  });
  const scroll = tslab.element('div', {className: 'scroll'});
  scroll.append(svg);
  const before = box.querySelector('.scroll');
  const place = before ? before.scrollTop : 0;
  const focused = before ? [...before.querySelectorAll('g.bar')].indexOf(document.activeElement) : -1;
  const hidden = all.length - shown.length;
  box.replaceChildren(scroll, detail);
  if (hidden > 0) box.append(tslab.element('p', {className: 'detail'}, `${hidden} more epochs are not shown.`));
  scroll.scrollTop = place;
  if (focused >= 0) {
    const bars = scroll.querySelectorAll('g.bar');
    bars[Math.min(focused, bars.length - 1)].focus({preventScroll: true});
  }
};

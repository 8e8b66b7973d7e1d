// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What a phase costs, by label: the bytes a second of each, and what one of them allocates, holds and takes.
'use strict';

tslab.mostCostRows = 24;

// {labels, rows} of bytes a second between neighbouring samples; nothing across a restart.
tslab.costSeries = samples => {
  const bytes = s => new Map((s.heap.phase_costs || []).map(c => [c.label, c.bytes_sum]));
  const totals = new Map();
  const rows = [];
  for (let i = 1; i < samples.length; ++i) {
    const a = samples[i - 1], b = samples[i], seconds = tslab.secondsBetween(a, b);
    if (seconds <= 0) continue;
    const before = bytes(a), rates = new Map();
    if (a.heap.pid === b.heap.pid)
      for (const [label, now] of bytes(b)) {
        const d = now - (before.get(label) || 0);
        if (d < 0) continue;
        rates.set(label, d / seconds);
        totals.set(label, (totals.get(label) || 0) + d);
      }
    rows.push({t: new Date(b.t), rates: a.heap.pid === b.heap.pid ? rates : null});
  }
  const labels = [...totals].filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]).slice(0, 15).map(([label]) => label);
  return {labels, rows: rows.map(r => [r.t, ...labels.map(l => r.rates === null ? null : r.rates.get(l) || 0)])};
};

// A range on a logarithmic scale: from the median to the 99th percentile, and the maximum.
tslab.costBar = (color, lowest, highest, p50, p99, max) => {
  const width = 150, height = 14;
  const at = v => {
    const low = Math.log(Math.max(lowest, 1)), high = Math.log(Math.max(highest, lowest + 1, 2));
    return 2 + (width - 4) * Math.min(Math.max((Math.log(Math.max(v, 1)) - low) / (high - low), 0), 1);
  };
  const bar = tslab.svg('svg', {width, height, viewBox: `0 0 ${width} ${height}`, 'aria-hidden': 'true'});
  bar.append(tslab.svg('rect', {x: 0, y: 6, width, height: 2, fill: tslab.color('grid')}),
    tslab.svg('rect', {x: at(p50), y: 3, width: Math.max(at(p99) - at(p50), 2), height: 8, rx: 2, fill: color}),
    tslab.svg('rect', {x: at(max) - 1, y: 1, width: 2, height: 12, fill: tslab.color('ink')}));
  return bar;
};

tslab.drawCosts = heap => {
  const e = tslab.element, box = tslab.at('costs');
  const all = [...(heap.phase_costs || [])].sort((a, b) => b.bytes_sum - a.bytes_sum);
  if (all.length === 0) return box.replaceChildren(tslab.none('No phase has ended yet.'));
  const rows = all.slice(0, tslab.mostCostRows), used = rows.filter(c => c.bytes_max > 0);
  const lowest = Math.min(...used.map(c => c.bytes_p50 || 64)), highest = Math.max(...used.map(c => c.bytes_max));
  const head = ['Label', 'Phases', '', 'Bytes: median', '99 %', 'most', 'Peak: 99 %', 'Objects: median', '99 %', 'Time: median', '99 %', 'most', 'Largest entered at'];
  const table = e('table', {className: 'costs'}, e('thead', {}, e('tr', {}, ...head.map(t => e('th', {scope: 'col'}, t)))));
  const body = e('tbody', {});
  for (const c of rows) {
    const color = tslab.labelColor(c.label), number = t => e('td', {}, t);
    const known = (show, n) => number(n === null ? '–' : show(n));   // null: counted where no reader sees it
    const bar = e('td', {className: 'range'});
    if (c.bytes_max > 0 && c.bytes_p50 !== null) bar.append(tslab.costBar(color, lowest, highest, c.bytes_p50, c.bytes_p99, c.bytes_max));
    body.append(e('tr', {}, e('th', {scope: 'row'}, tslab.swatch(color), c.label), number(tslab.count(c.phases)), bar,
      known(tslab.bytes, c.bytes_p50), known(tslab.bytes, c.bytes_p99), number(tslab.bytes(c.bytes_max)), known(tslab.bytes, c.peak_bytes_p99),
      known(tslab.count, c.objects_p50), known(tslab.count, c.objects_p99),
      known(tslab.nanoseconds, c.wall_ns_p50), known(tslab.nanoseconds, c.wall_ns_p99), number(tslab.nanoseconds(c.wall_ns_max)),
      e('td', {className: 'place'}, c.largest_at ? `${c.largest_at}, ${tslab.clock(c.largest_ms)}` : '–')));
  }
  table.append(body);
  box.replaceChildren(e('div', {className: 'sideways', tabIndex: 0, role: 'region', ariaLabel: 'What phases cost, by label'}, table));
  const more = all.length - rows.length + (heap.phase_labels_omitted || 0);
  if (more > 0) box.append(e('p', {className: 'detail'}, `${tslab.count(more)} more labels have no place here; tslab labels shows them.`));
};

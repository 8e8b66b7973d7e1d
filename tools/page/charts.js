// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Figures over time, by dygraphs. Its legend is not used: it writes HTML, and ours says the figures of the moment that
// is pointed at, or of the last one.
'use strict';

// It would also measure text with a style of its own, which the page's content policy does not allow.
Dygraph.PLUGINS = Dygraph.PLUGINS.filter(plugin => plugin !== Dygraph.Plugins.Legend);

tslab.chart = (id, {stacked, format}) => {
  const box = tslab.at(id), legend = tslab.at(id + '-legend');
  let graph = null, series = [], rows = [], zoomed = false;

  const say = row => {
    const at = row === null ? rows.length - 1 : row;
    legend.replaceChildren(...series.map((s, i) => {
      const v = at >= 0 ? rows[at][i + 1] : null;
      return tslab.element('li', {}, tslab.swatch(s.color), s.name, tslab.element('b', {}, v === null ? '–' : format(v)));
    }));
  };

  return {
    // `what`: [{name, color}], in the order of the columns of `data` after the first.
    draw(what, data) {
      series = what;
      rows = data;
      const enough = rows.length > 0 && series.length > 0;
      if (!enough) {
        if (graph) { graph.destroy(); graph = null; zoomed = false; }
        box.textContent = '';
        box.append(tslab.none(rows.length === 0 ? 'This needs two samples.' : 'Nothing yet.'));
        legend.replaceChildren();
        return;
      }
      const options = {
        labels: ['t', ...series.map((_, i) => 'y' + i)],   // names have to differ, and are not shown
        colors: series.map(s => s.color),
        gridLineColor: tslab.color('grid'),
        axisLineColor: tslab.color('line'),
        drawPoints: rows.length < 3,
      };
      if (graph) {
        if (!zoomed) options.dateWindow = null;   // follow; else stay where the reader is
        graph.updateOptions({...options, file: rows});
      } else {
        box.textContent = '';
        graph = new Dygraph(box, rows, {
          ...options,
          stackedGraph: stacked,
          fillGraph: stacked,
          fillAlpha: 0.75,
          strokeWidth: stacked ? 1 : 1.75,
          legend: 'never',
          includeZero: true,
          pointSize: 2.5,
          highlightCircleSize: 3,
          gridLineWidth: 1,
          rightGap: 8,
          xRangePad: 0,
          animatedZooms: false,
          connectSeparatedPoints: false,
          axes: {
            x: {axisLabelWidth: 70, pixelsPerLabel: 90},
            y: {axisLabelWidth: 66, axisLabelFormatter: v => format(v), pixelsPerLabel: 36, labelsKMG2: format === tslab.bytes},
          },
          highlightCallback: (event, x, points, row) => say(row),
          unhighlightCallback: () => say(null),
          zoomCallback: () => { zoomed = graph.isZoomed('x'); },
        });
      }
      say(null);
      const last = rows[rows.length - 1];
      box.setAttribute('role', 'img');
      box.setAttribute('aria-label', 'At ' + tslab.clock(last[0]) + ': ' +
          series.map((s, i) => s.name + ' ' + (last[i + 1] === null ? '–' : format(last[i + 1]))).join(', '));
    },
    resize() { if (graph) graph.resize(); },
  };
};

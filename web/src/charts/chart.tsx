import { ParallelChart, ScatterChart } from "echarts/charts";
import { GridComponent, ParallelComponent, TooltipComponent, VisualMapComponent } from "echarts/components";
import { init, use as register, type EChartsType } from "echarts/core";
import { CanvasRenderer, SVGRenderer } from "echarts/renderers";
import type { EChartsCoreOption } from "echarts/core";
import { useEffect, useRef, type ReactNode } from "react";
import { download } from "../parts/download";
import { color } from "../theme";

register([ParallelChart, ScatterChart, GridComponent, ParallelComponent, TooltipComponent, VisualMapComponent, CanvasRenderer, SVGRenderer]);

interface Props {
  option: EChartsCoreOption;
  label: string; // for those who do not see it
  onChart: (chart: EChartsType | null) => void;
  on: Record<string, (chart: EChartsType, event: unknown) => void>;
}

export function Chart({ option, label, onChart, on }: Props): ReactNode {
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<EChartsType>(null);
  const handlers = useRef(on);
  const told = useRef(onChart);
  useEffect(() => {
    handlers.current = on;
    told.current = onChart;
  });
  useEffect(() => {
    const c = init(box.current);
    chart.current = c;
    told.current(c);
    for (const name of Object.keys(handlers.current)) c.on(name, (e: unknown) => handlers.current[name]?.(c, e));
    const observer = new ResizeObserver(() => c.resize());
    observer.observe(box.current!);
    return () => {
      observer.disconnect();
      c.dispose();
      chart.current = null;
      told.current(null);
    };
  }, []);
  useEffect(() => {
    chart.current?.setOption(option, { notMerge: true });
  }, [option]);
  return (
    <div className="chartbox" tabIndex={0}>
      <div className="chart" ref={box} role="img" aria-label={label} />
    </div>
  );
}

export function chartPNG(chart: EChartsType, name: string): void {
  const url = chart.getDataURL({ type: "png", pixelRatio: 2, backgroundColor: color("panel") });
  const bytes = Uint8Array.from(atob(url.slice(url.indexOf(",") + 1)), (c) => c.charCodeAt(0));
  download(name, new Blob([bytes], { type: "image/png" }));
}

export function chartSVG(chart: EChartsType, option: EChartsCoreOption, name: string): void {
  const c = init(null, null, { renderer: "svg", ssr: true, width: chart.getWidth(), height: chart.getHeight() });
  c.setOption({ ...option, animation: false, backgroundColor: color("panel") });
  download(name, new Blob([c.renderToSVGString()], { type: "image/svg+xml" }));
  c.dispose();
}

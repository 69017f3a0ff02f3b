import { element } from '../../shared/element';
import { isolationText } from '../../shared/isolation';
import type { FinishedNews, ReadyNews } from '../messages';

const SIMD_TEXT = {
  relaxed: 'relaxed (fused multiply-add)',
  baseline: 'baseline (this browser has no relaxed SIMD)',
};

/** Says what runs, and what stands in the way of something faster. */
export function showRuntime({ runtime, isolated, blocks, heads, parameterCount, seconds }: ReadyNews): void {
  write('runtime-version', runtime.version);
  write('runtime-simd', SIMD_TEXT[runtime.simd], runtime.simd);
  write('runtime-threads', String(runtime.threads));
  element('runtime-threads', HTMLElement).title = runtime.threadsReason;
  write(
    'runtime-model',
    `${(parameterCount / 1e6).toFixed(1)} million parameters, ${blocks} blocks of ${heads} heads`,
    String(parameterCount),
  );
  write('runtime-ready', `${seconds.toFixed(2)} s`, String(seconds));
  write('runtime-isolation', isolationText(isolated), String(isolated));
}

export function showPace({ milliseconds, seconds }: FinishedNews): void {
  write('runtime-step', `${milliseconds.toFixed(1)} ms`, String(milliseconds));
  write('runtime-picture', `${seconds.toFixed(2)} s`, String(seconds));
}

function write(id: string, text: string, value = text): void {
  const place = element(id, HTMLElement);
  place.textContent = text;
  place.dataset['value'] = value;
}

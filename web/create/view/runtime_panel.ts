import { element } from '../../shared/element';
import { isolationText } from '../../shared/isolation';
import { simdDescriptions } from '../../shared/simd_descriptions';
import type { FinishedEvent, ReadyEvent } from '../messages';

/** Shows what the model runs on, and why it does not run faster. */
export function showRuntime({ runtime, isolated, blocks, heads, parameterCount, seconds }: ReadyEvent): void {
  write('runtime-version', runtime.version);
  write('runtime-simd', simdDescriptions[runtime.simd], runtime.simd);
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

/** Shows the times of a finished picture. */
export function showPace({ milliseconds, seconds }: FinishedEvent): void {
  write('runtime-step', `${milliseconds.toFixed(1)} ms`, String(milliseconds));
  write('runtime-picture', `${seconds.toFixed(2)} s`, String(seconds));
}

function write(id: string, text: string, value = text): void {
  const output = element(id, HTMLElement);
  output.textContent = text;
  output.dataset['value'] = value;
}

/** Says what the machine is, as far as the browser tells, and what that means for the measurements. */
import { element } from '../../shared/element';
import { isolationText } from '../../shared/isolation';
import type { Machine } from '../machine';

const SIMD_TEXT = {
  relaxed: 'relaxed (fused multiply-add)',
  baseline: 'baseline (this browser has no relaxed SIMD)',
};

export function showMachine(machine: Machine): void {
  const { browser, system, cores, memoryGigabytes, crossOriginIsolated, simd, threads, webgpu } = machine;
  const list = element('machine', HTMLElement);
  const add = (term: string, text: string, className = ''): void => {
    const row = document.createElement('div');
    row.className = className;
    const [name, description] = [document.createElement('dt'), document.createElement('dd')];
    name.textContent = term;
    description.textContent = text;
    row.append(name, description);
    list.append(row);
  };
  add('Browser', browser);
  add('System', system);
  add('Cores', String(cores));
  if (memoryGigabytes !== null) add('Memory', `${memoryGigabytes} GB or more`);
  add('SIMD', SIMD_TEXT[simd]);
  add('Threads', threads > 1 ? `up to ${threads}` : '1');
  add('WebGPU', webgpu, 'wide');
  add('Isolation', isolationText(crossOriginIsolated), 'wide');
}

/** Shows the properties of the machine that the browser reveals. */
import { element } from '../../shared/element';
import { isolationText } from '../../shared/isolation';
import { simdDescriptions } from '../../shared/simd_descriptions';
import type { Machine } from '../machine';

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
  add('SIMD', simdDescriptions[simd]);
  add('Threads', threads > 1 ? `up to ${threads}` : '1');
  add('WebGPU', webgpu, 'wide');
  add('Isolation', isolationText(crossOriginIsolated), 'wide');
}

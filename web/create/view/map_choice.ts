import { element } from '../../shared/element';
import type { MapChoice as Choice } from '../messages';

/** The menu that selects the blocks and heads of the maps. */
export class MapChoice {
  readonly #select = element('map-choice', HTMLSelectElement);

  constructor(onChoice: (choice: Choice) => void) {
    this.#select.addEventListener('change', () => {
      const [block, head] = this.#select.value.split(' ').filter(Boolean).map(Number);
      onChoice({ ...(block !== undefined && { block }), ...(head !== undefined && { head }) });
    });
  }

  offer(blocks: number, heads: number): void {
    for (let block = 0; block < blocks; block++) {
      const group = document.createElement('optgroup');
      group.label = `Block ${block + 1}`;
      group.append(new Option(`block ${block + 1}, all heads`, String(block)));
      for (let head = 0; head < heads; head++)
        group.append(new Option(`block ${block + 1}, head ${head + 1}`, `${block} ${head}`));
      this.#select.append(group);
    }
  }
}

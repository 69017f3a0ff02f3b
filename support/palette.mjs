// The colours of generated scenes, as [red, green, blue] from 0 to 1.

export const colours = {
  red: [0.88, 0.08, 0.1],
  orange: [0.96, 0.5, 0.05],
  yellow: [0.95, 0.92, 0.12],
  green: [0.1, 0.65, 0.15],
  cyan: [0.1, 0.85, 0.9],
  blue: [0.1, 0.2, 0.9],
  purple: [0.55, 0.08, 0.65],
  pink: [0.96, 0.5, 0.75],
};

export const backgrounds = {
  white: [1, 1, 1],
  black: [0, 0, 0],
  gray: [0.5, 0.5, 0.5],
  brown: [0.36, 0.22, 0.1],
};

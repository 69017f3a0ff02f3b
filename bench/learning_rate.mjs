/** The learning rate of all contenders. So small that only the last digits of the parameters change. */
export const learningRate = 1e-9;

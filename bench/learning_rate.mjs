/** Of all contenders' gradient descent: so small that the parameters stay the same but for their last digits. */
export const learningRate = 1e-9;

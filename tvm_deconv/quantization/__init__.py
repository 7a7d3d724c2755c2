"""From a float ONNX network of pictures to one of 8 bits, by ONNX Runtime's own quantizer."""

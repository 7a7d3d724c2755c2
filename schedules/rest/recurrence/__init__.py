"""Recurrent layers: the loop over time of an LSTM, a GRU or a plain recurrent layer."""

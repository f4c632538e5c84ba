# IPython log file



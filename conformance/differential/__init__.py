"""Random conversations with a real ipykernel, directly and through kmux: is all the same?"""

"""The CustomResourceDefinitions, made from the models of ``sluice.spec``."""

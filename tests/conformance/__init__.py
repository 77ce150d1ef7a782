"""HTTP checks of our mirrors, which are run against other servers, too."""

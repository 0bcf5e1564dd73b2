function enlivenJourney(figure, data) {}
